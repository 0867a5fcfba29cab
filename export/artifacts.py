"""Export: lower a trained network, run what came out, compare it with the desk, and only then keep it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, assert_never

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
    Thresholds,
    expectations,
    load_thresholds,
    prove,
    write_report,
)
from export.plan import Planned, Wish, plan
from export.shapes import Lowered
from personalize.model import load_model
from personalize.networks import Network
from personalize.spec import NetworkSpec

Progress = Callable[[str, int, int], None]
"""Called before each step: what is being done, its number from 0, and how many there are."""


class Made(NamedTuple):
    """Artifacts that agree with the desk, and how well."""

    artifacts: tuple[Artifact, ...]
    report: ParityReport
    goldens: tuple[Golden, ...]  # with what the desk says of them, cut as the artifacts are


def export_model(
    folder: Path,
    goldens: Sequence[Golden] = (),
    runtimes: Sequence[RuntimeKind] = ("executorch", "litert"),
    wish: Wish | None = None,
    *,
    calibration: Sequence[Float32] = (),
    thresholds: Thresholds | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Write the artifacts of a model's folder beside its weights, and parity.json; update model.json.

    They replace those of the same name once all of them have said what the network says on every golden
    recording (a rehearsal where there are none), and are preferred from then on. Raises ParityFailed with
    the figures where one does not, BadInput where the folder or the network cannot be exported; then all is
    as before.
    """
    network, manifest = load_model(folder)
    planned = plan(network, manifest, wish or Wish(), runtimes)
    goldens = goldens or [rehearsal(manifest)]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as name:
        staging = Path(name)
        made = make(
            staging,
            network,
            manifest,
            planned,
            goldens,
            calibration=calibration,
            thresholds=thresholds,
            progress=progress,
        )
        for artifact in made.artifacts:
            (staging / artifact.file).replace(folder / artifact.file)
    sync_folder(folder)
    write_manifest(folder, listing(manifest, made.artifacts))
    write_report(folder, made.report)
    return made.report


def make(
    folder: Path,
    network: Network,
    manifest: ModelManifest,
    planned: Sequence[Planned],
    goldens: Iterable[Golden],
    *,
    calibration: Sequence[Float32] = (),
    thresholds: Thresholds | None = None,
    progress: Progress | None = None,
) -> Made:
    """Write the planned artifacts into `folder`, each compared with `network` once it is there.

    Raises ParityFailed with the figures at the first that does not say what the network says, BadInput for a
    form that its runtime cannot have.
    """
    steps = iter(range(2 * len(planned) + 1))

    def tell(what: str) -> None:
        if progress is not None:
            progress(what, next(steps), 2 * len(planned) + 1)

    tell("running the reference")
    expected = expectations(network, manifest, goldens, [one.form for one in planned])
    case = Case(manifest, expected, thresholds or load_thresholds(), network)
    artifacts, compared = [], list[RuntimeParity]()
    for one in planned:
        tell(f"lowering to {one.file}")
        lowered = lower(one.network, one.form, one.runtime, calibration)
        artifacts.append(_write(folder, one, lowered))
        tell(f"comparing {one.file}")
        compared.append(_compare(folder, artifacts[-1], case))
    report = ParityReport(
        network=manifest.network,
        simulated=manifest.simulated,
        thresholds=case.thresholds,
        runtimes=tuple(compared),
    )
    return Made(tuple(artifacts), report, expected)


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


def listing(manifest: ModelManifest, made: Sequence[Artifact]) -> ModelManifest:
    """`manifest` with the artifacts that were made before all others, instead of those of the same name."""
    names = {artifact.file for artifact in made}
    others = [artifact for artifact in manifest.artifacts if artifact.file not in names]
    return manifest.model_copy(update={"artifacts": (*made, *others)})


def _write(folder: Path, planned: Planned, lowered: Lowered) -> Artifact:
    path = folder / planned.file
    with path.open("wb") as file:
        file.write(lowered.content)
        file.flush()
        os.fsync(file.fileno())
    return Artifact(
        file=path.name,
        runtime=planned.runtime,
        sha256=sha256_of(path),
        bytes=len(lowered.content),
        form=lowered.form,
    )


def _compare(folder: Path, artifact: Artifact, case: Case) -> RuntimeParity:
    parity, _ = prove(open_runtime(folder, artifact), artifact, case)
    failures = parity.failures()
    if failures:
        raise ParityFailed(
            f"{artifact.file} was not written, because it does not say what the network says: "
            + "; ".join(failures)
        )
    return parity
