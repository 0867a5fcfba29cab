"""What quantizing costs a trained decoder: size, CER and agreement on recordings that nothing has seen.

    OMP_NUM_THREADS=1 python benchmarks/quantization.py              # about 20 minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/quantization.py --wearers 1  # about 5
    OMP_NUM_THREADS=1 python benchmarks/quantization.py --user ID    # a user's model in use, and its pupil

Each simulated wearer records as in the demo (90, 90 and 60 s) and 4 minutes more that only test. `streaming`
is fine-tuned from the base, `micro` taught by it; each is exported and run as a device would run it, and
compared with torch in the same chunks. Agreement and cosine are over the emissions that are not blank on
either side (export/parity/measures.py).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.manifest import Artifact, ModelManifest, Precision, RuntimeKind, sha256_of
from edge.runtimes import Runtime, open_runtime
from edge.samples import Float32
from edge.session import read_session, write_session
from edge.store import User, UserStore
from export.artifacts import lower
from export.parity.measures import compare
from export.plan import Planned, Wish, plan
from personalize import recipe
from personalize.base_users import forbid
from personalize.calibration import calibration_windows
from personalize.distill import distill_user, newest_pupil
from personalize.evaluate import emissions, score_emissions
from personalize.features import deployed_input, log_power
from personalize.fit import personalize_user
from personalize.geometry import Geometry
from personalize.labels import Labels, labels_of
from personalize.model import load_model
from personalize.networks import Network
from personalize.reference import TorchRuntime
from personalize.report import read_report
from simulate.recording import to_session
from simulate.wearer import Wearer

WEARERS = (1, 31, 32, 33)  # the demo's, and three on whom nothing was chosen
LENGTHS_S = (90.0, 90.0, 60.0, 240.0)  # two to train on, one to choose the epoch, one to test
FORGIVEN = 0.02  # the share of spoken emissions that a cosine leaves out, as configs/parity.yaml's agreement
COLUMNS = (
    "user",
    "network",
    "runtime",
    "precision",
    "MB",
    "CER %",
    "rise",
    "agreement %",
    "cosine",
    "max delta",
)
LIVE_MS = 200.0  # chunk and lookahead, each, of networks that read both ways, run live


class Variant(NamedTuple):
    """One way to export a model."""

    runtime: RuntimeKind
    precision: Precision
    live: bool  # in live chunks also what reads both ways


class Subject(NamedTuple):
    """A trained model and the recording that tests it."""

    user: User
    folder: Path
    network: Network
    manifest: ModelManifest
    frames: Float32  # of the test recording, as the network takes them
    labels: Labels


VARIANTS = (
    Variant("litert", "int8_dynamic", live=False),
    Variant("litert", "int8_static", live=True),
    Variant("tflm", "int8_static", live=True),
    Variant("executorch", "int8_dynamic", live=False),
)


def record(store: UserStore, wearer: int, lengths_s: tuple[float, ...] = LENGTHS_S) -> User:
    """A new user of the store who typed as the simulated `wearer` does."""
    forbid(wearer)
    user = store.create(f"wearer-{wearer}")
    simulated = Wearer(wearer, "medium")
    for session, duration_s in enumerate(lengths_s):
        done = to_session(simulated.perform(session, duration_s=duration_s), user=user.id)
        write_session(user.session_path(user.new_session_name()), done)
    return user


def train(user: User) -> list[Path]:
    """Their streaming model and the micro one that it taught."""
    big = personalize_user(user, recipe.load("finetune")).folder
    return [big, distill_user(user, big, recipe.load("micro")).folder]


def models_of(user: User) -> list[Path]:
    """The model in use, and the newest small one that it taught."""
    current = user.current()
    if current is None:
        raise SystemExit(f"user {user.id} has no model; run: personalize --user {user.id}")
    pupil = newest_pupil(user, current, "micro")
    return [current] if pupil is None else [current, pupil]


def subject(user: User, folder: Path) -> Subject:
    """The model in `folder` and the recording that its report names as the test."""
    network, manifest = load_model(folder)
    name = next(part.session for part in read_report(folder).parts if part.role == "test")
    session = read_session(user.session_path(name))
    return Subject(
        user, folder, network, manifest, deployed_input(log_power(session), manifest), labels_of(session)
    )


def rows(one: Subject, variants: tuple[Variant, ...]) -> Iterator[str]:
    """A line for float32 on the desk, and one for each variant beside the same chunks in float32."""
    heard: dict[bool, Float32] = {}
    calibration = calibration_windows(one.user, one.folder)
    for variant in variants:
        planned = planned_for(one, variant)
        if planned.form.whole_window not in heard:
            runtime = TorchRuntime(one.network, planned.form)
            heard[planned.form.whole_window] = said(one, runtime)
            yield line(one, "torch", "float32", None, heard[planned.form.whole_window], None)
        with tempfile.TemporaryDirectory() as name:
            artifact = written(Path(name), planned, calibration)
            out = said(one, open_runtime(Path(name), artifact))
        reference = heard[planned.form.whole_window]
        yield line(one, variant.runtime, variant.precision, artifact.bytes, out, reference)


def planned_for(one: Subject, variant: Variant) -> Planned:
    """What a variant exports: in the desk's chunks, one emission at a time on a microcontroller."""
    wish = Wish(precisions=(variant.precision,))
    if one.network.bidirectional and variant.live:
        wish = wish._replace(chunk_ms=LIVE_MS, lookahead_ms=LIVE_MS)
    elif variant.runtime == "tflm":
        wish = wish._replace(chunk_ms=8.0 * one.network.stride)
    return plan(one.network, one.manifest, wish, [variant.runtime])[0]


def written(folder: Path, planned: Planned, calibration: list[Float32]) -> Artifact:
    """Lower and write one artifact."""
    lowered = lower(planned.network, planned.form, planned.runtime, calibration)
    path = folder / planned.file
    path.write_bytes(lowered.content)
    return Artifact(
        file=path.name,
        runtime=planned.runtime,
        sha256=sha256_of(path),
        bytes=len(lowered.content),
        form=lowered.form,
    )


def said(one: Subject, runtime: Runtime) -> Float32:
    """The emissions of the test recording."""
    return emissions(runtime, one.frames, Geometry.of_manifest(one.manifest, runtime.form))


def line(
    one: Subject, runtime: str, precision: str, size: int | None, out: Float32, reference: Float32 | None
) -> str:
    """One row of the table; `reference` is what the same chunks say in float32."""
    geometry = Geometry.of_manifest(one.manifest)
    cer = score_emissions(out, one.labels, geometry).percent
    cells = [
        one.user.id,
        one.manifest.network,
        runtime,
        precision,
        "-" if size is None else f"{size / 1e6:.3f}",
    ]
    if reference is None:
        return " | ".join([*cells, f"{cer:.1f}", "", "", "", ""])
    count = min(len(out), len(reference))  # a lookahead leaves the last frames unsaid
    found = compare(reference[:count], out[:count], FORGIVEN)
    rise = cer - score_emissions(reference, one.labels, geometry).percent
    figures = [f"{cer:.1f}", f"{rise:+.2f}", f"{100 * found.agreement:.1f}", f"{found.cosine:.4f}"]
    return " | ".join([*cells, *figures, f"{found.max_delta:.2f}"])


def main() -> None:
    """Record, train, export, run; print a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--wearers", type=int, nargs="*", default=WEARERS)
    parser.add_argument("--user", help="measure the models in use of this user of the store instead")
    parser.add_argument("--only", choices=["litert", "tflm", "executorch"], nargs="*")
    asked = parser.parse_args()
    variants = tuple(v for v in VARIANTS if not asked.only or v.runtime in asked.only)
    started_s = time.process_time()
    print(" | ".join(COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        users = (
            [UserStore.default().user(asked.user)]
            if asked.user
            else [record(UserStore(Path(name)), wearer) for wearer in asked.wearers]
        )
        for user in users:
            for folder in models_of(user) if asked.user else train(user):
                for row in rows(subject(user, folder), variants):
                    print(row, flush=True)
    print(f"{time.process_time() - started_s:.0f} CPU-s; {np.__name__} {np.__version__}")


if __name__ == "__main__":
    main()
