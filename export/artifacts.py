"""Export: lower a trained network, run what came out, compare it with the desk, and only then keep it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Final, NamedTuple, assert_never

from edge.errors import BadInput
from edge.files import locked, sync_folder
from edge.manifest import FILE_NAME as MODEL
from edge.manifest import (
    Artifact,
    Form,
    ModelManifest,
    Precision,
    RuntimeKind,
    Takes,
    sha256_of,
    write_manifest,
)
from edge.runtimes import open_runtime
from edge.samples import Float32
from export.golden import Golden, rehearsal
from export.parity import FILE_NAME as PARITY
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

_STAGING: Final = ".export-"

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

    They replace those of their kind (runtime, precision, input) once all of them have said what the network
    says on every golden recording (a rehearsal where there are none), and are preferred from then on. Raises
    ParityFailed with the figures where one does not, BadInput where the folder or the network cannot be
    exported or another export is at work; then all is as before.
    """
    network, manifest = load_model(folder)
    planned = plan(network, manifest, wish or Wish(), runtimes)
    with _staging(folder) as staging:
        made = make(
            staging,
            network,
            manifest,
            planned,
            goldens or [rehearsal(manifest)],
            calibration=calibration,
            thresholds=thresholds,
            progress=progress,
        )
        write_report(staging, made.report)
        _install(folder, staging, manifest, made.artifacts)
    return made.report


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A hidden folder in a model's, which is gone after the block; what killed exports left goes too.

    Raises BadInput while another export writes to the same model.
    """
    try:
        with locked(folder / MODEL):
            for left in folder.glob(f"{_STAGING}*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=_STAGING) as name:
                yield Path(name)
    except BlockingIOError:
        raise BadInput(f"another export is writing to {folder}; wait until it is done") from None


def _install(folder: Path, staging: Path, manifest: ModelManifest, made: Sequence[Artifact]) -> None:
    """Move artifacts in beside those of before, swap model.json, and only then remove what it lists no more.

    Whatever ends it, model.json lists files that are there and whole.
    """
    placed = []
    for artifact in made:
        name = _free_name(folder, artifact.file)
        (staging / artifact.file).replace(folder / name)
        placed.append(artifact.model_copy(update={"file": name}))
    sync_folder(folder)
    listed = listing(manifest, placed)
    write_manifest(folder, listed)
    (staging / PARITY).replace(folder / PARITY)
    for artifact in manifest.artifacts:
        if artifact not in listed.artifacts:
            (folder / artifact.file).unlink(missing_ok=True)


def _free_name(folder: Path, name: str) -> str:
    """`name`, or where a file of an earlier export has it, the same with a number."""
    path = Path(name)
    names = chain([name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))
    return next(one for one in names if not (folder / one).exists())


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
    accept: Callable[[Path], None] | None = None,
) -> Made:
    """Write the planned artifacts into `folder`, each compared with `network` once it is there.

    `accept` is given each file before that, and raises where it cannot be used however right it is. Raises
    ParityFailed with the figures at the first that does not say what the network says, BadInput for a form
    that its runtime cannot have.
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
        if accept is not None:
            accept(folder / one.file)
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
    """`manifest` with the artifacts that were made before all others, instead of those of their kind."""
    kinds = {_kind(artifact) for artifact in made}
    others = [artifact for artifact in manifest.artifacts if _kind(artifact) not in kinds]
    return manifest.model_copy(update={"artifacts": (*made, *others)})


def _kind(artifact: Artifact) -> tuple[RuntimeKind, Precision, Takes]:
    return artifact.runtime, artifact.form.precision, artifact.form.takes


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
