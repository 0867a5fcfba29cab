"""Export: lower a trained network, run what came out, compare it with the desk, and only then keep it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, assert_never

from edge.files import sync_folder
from edge.manifest import Artifact, Form, ModelManifest, RuntimeKind, sha256_of, write_manifest
from edge.runtimes import open_runtime
from edge.samples import Float32
from export.golden import Golden, rehearsal
from export.parity import (
    Case,
    ParityFailed,
    ParityReport,
    RuntimeParity,
    expectations,
    load_thresholds,
    prove,
    write_report,
)
from export.shapes import Lowered
from personalize.model import load_model
from personalize.networks import streamed
from personalize.spec import NetworkSpec

FILE_NAMES: Final[dict[RuntimeKind, str]] = {
    "executorch": "model.pte",
    "litert": "model.tflite",
    "tflm": "model_micro.tflite",
}

Progress = Callable[[str, int, int], None]
"""Called before each step: what is being done, its number from 0, and how many there are."""


def export_model(
    folder: Path,
    goldens: Sequence[Golden] = (),
    runtimes: Sequence[RuntimeKind] = ("executorch", "litert"),
    progress: Progress | None = None,
) -> ParityReport:
    """Write the artifacts of a model's folder beside its weights, and parity.json; update model.json.

    Each artifact replaces its predecessor only once it has said what the network says on every golden
    recording (a rehearsal where there are none). Raises ParityFailed with the figures, and keeps the old
    file, where it does not; BadInput where the folder or the network cannot be exported.
    """
    network, manifest = load_model(folder)
    spec = (network if manifest.form.whole_window else streamed(network)).spec()
    steps = iter(range(2 * len(runtimes) + 1))

    def tell(what: str) -> None:
        if progress is not None:
            progress(what, next(steps), 2 * len(runtimes) + 1)

    tell("running the reference")
    expected = expectations(network, manifest, goldens or [rehearsal(manifest)])
    case = Case(manifest, expected, load_thresholds(), network)
    compared: list[RuntimeParity] = []
    for kind in runtimes:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as name:
            staging = Path(name)
            tell(f"lowering to {FILE_NAMES[kind]}")
            manifest = _stage(staging, lower(spec, manifest.form, kind), manifest, kind)
            tell(f"comparing {FILE_NAMES[kind]}")
            compared.append(_compare(staging, manifest, kind, case))
            (staging / FILE_NAMES[kind]).replace(folder / FILE_NAMES[kind])
        sync_folder(folder)
        write_manifest(folder, manifest)
    report = ParityReport(
        network=manifest.network,
        simulated=manifest.simulated,
        thresholds=case.thresholds,
        runtimes=tuple(compared),
    )
    write_report(folder, report)
    return report


def lower(spec: NetworkSpec, form: Form, kind: RuntimeKind, calibration: Sequence[Float32] = ()) -> Lowered:
    """One artifact. Raises BadInput for a form that its runtime cannot have."""
    match kind:
        case "executorch":
            from export import executorch

            return executorch.lower(spec, form, calibration)
        case "litert" | "tflm":
            from export import tflite

            return tflite.lower(spec, form, calibration)
        case _:
            assert_never(kind)


def _stage(staging: Path, lowered: Lowered, manifest: ModelManifest, kind: RuntimeKind) -> ModelManifest:
    """Write an artifact into `staging`; the manifest that lists it instead of its predecessor."""
    path = staging / FILE_NAMES[kind]
    with path.open("wb") as file:
        file.write(lowered.content)
        file.flush()
        os.fsync(file.fileno())
    artifact = Artifact(
        file=path.name, runtime=kind, sha256=sha256_of(path), bytes=len(lowered.content), form=lowered.form
    )
    others = tuple(other for other in manifest.artifacts if other.runtime != kind)
    return manifest.model_copy(
        update={"artifacts": tuple(sorted((*others, artifact), key=lambda entry: entry.runtime))}
    )


def _compare(staging: Path, manifest: ModelManifest, kind: RuntimeKind, case: Case) -> RuntimeParity:
    artifact = manifest.artifact(kind)
    if artifact is None:
        raise AssertionError(f"{kind} was staged before")
    parity, _ = prove(open_runtime(staging, artifact), artifact, case)
    failures = parity.failures()
    if failures:
        raise ParityFailed(
            f"{FILE_NAMES[kind]} was not written, because it does not say what the network says: "
            + "; ".join(failures)
        )
    return parity
