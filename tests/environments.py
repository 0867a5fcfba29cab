"""What the small environments must do: decode with an exported model, without torch.

python -m tests.environments export FOLDER     in the full environment: a model, frames, and what it says
python -m tests.environments run FOLDER        in a small one: the same answer from the runtime there is
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edge.features import BINS
from edge.manifest import Artifact, read_manifest, sha256_of, write_manifest
from edge.normalize import Prior
from edge.pipeline import Pipeline
from edge.runtimes.opening import open_preferred
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, SampleChunk

_SECONDS = 4


def noise() -> SampleChunk:
    """Bursts over noise, the same on every machine."""
    rng = np.random.default_rng(3)
    samples = _SECONDS * RATE_HZ
    gain = 3 + 40 * (np.sin(np.arange(samples) / 150) > 0.7)[:, None, None] * rng.random((WRISTS, ELECTRODES))
    emg_uv = (rng.standard_normal((samples, WRISTS, ELECTRODES)) * gain).astype(np.float32)
    return SampleChunk(0, np.arange(samples) / RATE_HZ, emg_uv, np.ones((samples, WRISTS), np.bool_))


def export(folder: Path) -> None:
    """Write a seeded streaming model as .tflite, and what torch says to the noise."""
    import torch

    from export import tflite
    from personalize.model import describe
    from personalize.networks import build
    from personalize.reference import TorchRuntime

    torch.manual_seed(0)
    network = build("streaming").eval()
    with torch.no_grad():  # untrained heads say blank: let several keys win
        network.head.weight.mul_(30)
    shape = (WRISTS, ELECTRODES, BINS)
    prior = Prior(np.full(shape, 0.5, np.float32), np.ones(shape, np.float32))
    manifest = describe(network, user="environment", simulated=True, sides=SIDES, prior=prior)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.tflite"
    model.write_bytes(tflite.lower(network.spec(), manifest.form).content)
    artifact = Artifact(
        file=model.name,
        runtime="litert",
        sha256=sha256_of(model),
        bytes=model.stat().st_size,
        form=manifest.form,
    )
    manifest = manifest.model_copy(update={"artifacts": (artifact,)})
    write_manifest(folder, manifest)
    pipeline = Pipeline(manifest, TorchRuntime(network, manifest.form))
    _, keys = pipeline.step(pipeline.initial_state(), noise())
    (folder / "expected.txt").write_text(" ".join(str(key.label) for key in keys))


def run(folder: Path) -> None:
    """Decode the noise with whatever runtime this environment has. Raises SystemExit where it differs."""
    manifest = read_manifest(folder)
    pipeline = Pipeline(manifest, open_preferred(folder, manifest, "litert"))
    _, keys = pipeline.step(pipeline.initial_state(), noise())
    said = " ".join(str(key.label) for key in keys)
    expected = (folder / "expected.txt").read_text()
    heavy = {"torch", "bleak", "bumble"} & set(sys.modules)
    if heavy:
        raise SystemExit(f"decoding loaded {heavy}")
    if said != expected or len(keys) < _SECONDS:
        raise SystemExit(f"numpy {np.__version__} says {said!r}, torch says {expected!r}")
    print(f"numpy {np.__version__}: {len(keys)} keys as torch says them, without torch")


if __name__ == "__main__":
    {"export": export, "run": run}[sys.argv[1]](Path(sys.argv[2]))
