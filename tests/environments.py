"""What the small environments must do: decode with exported models, without torch.

python -m tests.environments export FOLDER     in the full environment: models, and what they must say
python -m tests.environments run FOLDER        in a small one: the same answers from the runtime there is
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np

from edge.features import BINS, HOP
from edge.manifest import Artifact, Form, Precision, read_manifest, sha256_of, write_manifest
from edge.normalize import Prior
from edge.pipeline import Pipeline
from edge.runtimes import Runtime
from edge.runtimes.opening import open_preferred, open_runtime
from edge.runtimes.protocol import ModelInput
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, Float32, SampleChunk

_SECONDS = 4
_CALLS: Final = 20
_UV_PER_LSB: Final = 0.25
# Two runtimes sum in other orders, and round integers by other rules.
_CLOSE: Final[dict[Precision, float]] = {"float32": 1e-4, "int8_dynamic": 0.15}


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
    _export_cases(folder)


def _export_cases(folder: Path) -> None:
    """Write artifacts of the forms that tflite-runtime 2.14 knows, and what they say here, a folder each."""
    from export import tflite
    from personalize.forms import form_of
    from personalize.front_end import front_end
    from personalize.networks import build, streamed

    streaming, tds = build("streaming").spec(), streamed(build("tds")).spec()
    lstm = streamed(build("spatial_lstm"), 4).spec()
    manifest = read_manifest(folder)
    heard = streaming._replace(layers=(front_end(manifest, uv_per_lsb=_UV_PER_LSB), *streaming.layers))
    for name, network, form in (
        ("streaming-dynamic", streaming, form_of(streaming, chunk_frames=4, precision="int8_dynamic")),
        (
            "streaming-samples",
            heard,
            form_of(heard, chunk_frames=4, takes="samples_int16", uv_per_lsb=_UV_PER_LSB),
        ),
        ("tds-float", tds, form_of(tds, chunk_frames=4)),
        ("tds-dynamic", tds, form_of(tds, chunk_frames=4, precision="int8_dynamic")),
        (
            "spatial-lstm-dynamic",
            lstm,
            form_of(lstm, chunk_frames=4, lookahead_frames=4, precision="int8_dynamic"),
        ),
    ):
        case = folder / name
        case.mkdir(exist_ok=True)
        content, stored = tflite.lower(network, form, per_tensor=True)
        model = case / "model.tflite"
        model.write_bytes(content)
        artifact = Artifact(
            file=model.name, runtime="litert", sha256=sha256_of(model), bytes=len(content), form=stored
        )
        (case / "artifact.json").write_text(artifact.model_dump_json())
        (case / "expected.bin").write_bytes(_say(open_runtime(case, artifact)).tobytes())


def _frames(count: int) -> Float32:
    rng = np.random.default_rng(5)
    return rng.standard_normal((count, WRISTS, ELECTRODES, BINS)).astype(np.float32)


def _calls(form: Form) -> list[ModelInput]:
    """A stream of frames, or of samples, the same on every machine."""
    frames = _CALLS * form.chunk_frames + form.lookahead_frames
    starts = [number * form.chunk_frames for number in range(_CALLS)]
    if form.takes == "frames":
        stream = _frames(frames)
        return [stream[start:][: form.input_frames] for start in starts]
    emg_uv = noise().emg_uv
    samples = np.rint(emg_uv / (form.uv_per_lsb or 1)).astype(np.int16)
    valid = np.ones((form.input_frames, WRISTS), np.float32)
    return [(samples[HOP * start :][: form.input_samples], valid) for start in starts]


def _say(runtime: Runtime) -> Float32:
    state, parts = runtime.initial_state(), []
    for call in _calls(runtime.form):
        log_probs, state = runtime.run(call, state)
        parts.append(log_probs)
    return np.concatenate(parts)


def _run_cases(folder: Path) -> None:
    """Invoke every case's artifact. Raises SystemExit where it says something else."""
    cases = sorted(folder.glob("*/artifact.json"))
    for path in cases:
        artifact = Artifact.model_validate_json(path.read_text())
        said = _say(open_runtime(path.parent, artifact))
        expected = np.frombuffer((path.parent / "expected.bin").read_bytes(), np.float32)
        worst = float(np.abs(said.reshape(-1) - expected).max())
        if not worst <= _CLOSE[artifact.form.precision]:
            raise SystemExit(f"{path.parent.name} departs by {worst:.2g} from what the full environment says")
        print(f"{path.parent.name}: within {worst:.1g}")
    if not cases:
        raise SystemExit(f"{folder} holds no cases")


def run(folder: Path) -> None:
    """Decode the noise with whatever runtime this environment has. Raises SystemExit where it differs."""
    manifest = read_manifest(folder)
    pipeline = Pipeline(manifest, open_preferred(folder, manifest, "litert"))
    _, keys = pipeline.step(pipeline.initial_state(), noise())
    said = " ".join(str(key.label) for key in keys)
    expected = (folder / "expected.txt").read_text()
    _run_cases(folder)
    heavy = {"torch", "bleak", "bumble"} & set(sys.modules)
    if heavy:
        raise SystemExit(f"decoding loaded {heavy}")
    if said != expected or len(keys) < _SECONDS:
        raise SystemExit(f"numpy {np.__version__} says {said!r}, torch says {expected!r}")
    print(f"numpy {np.__version__}: {len(keys)} keys as torch says them, without torch")


if __name__ == "__main__":
    {"export": export, "run": run}[sys.argv[1]](Path(sys.argv[2]))
