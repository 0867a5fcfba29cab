"""From a person's model to a bundle: the artifacts of a target, proved, with all that its developer needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.manifest import Artifact, ModelManifest, RuntimeKind, write_manifest
from edge.runtimes import open_runtime
from edge.session import Session
from edge.store import User
from edge.trust import TrustStore
from export.artifacts import Made, Progress, listing, make
from export.bundle import writing_bundle
from export.bundle.figures import read_reports
from export.card import FILE_NAME as CARD
from export.card import model_card
from export.golden import Golden, listen, scenarios, write_goldens
from export.parity import FILE_NAME as PARITY
from export.parity import ParityFailed, Thresholds, check, expectations, write_report
from export.plan import Planned, Wish, calibrated, plan
from personalize.calibration import calibration_windows
from personalize.model import load_model
from personalize.networks import Network
from personalize.report import FILE_NAME as FIT_REPORT

if TYPE_CHECKING:
    from export.phone import Recording

PHONE: Final[tuple[RuntimeKind, ...]] = ("litert", "executorch")
# Of typing that goes into a bundle, some 80 keys: enough for shares of spoken emissions to mean something.
# All of the recording is compared before.
_TYPING_S: Final = 20.0
_BUNDLED_CALLS: Final = 16  # half a second of streaming, with the state carried


class Source(NamedTuple):
    """What a bundle is made from."""

    user: User
    folder: Path  # of the model
    session: Session  # which the model has not seen
    trust: TrustStore
    thresholds: Thresholds | None = None  # of parity; None for configs/parity.yaml
    progress: Progress | None = None


class Bundled(NamedTuple):
    """A bundle that was written, and what its artifacts were found to say."""

    folder: Path
    manifest: ModelManifest
    made: Made


def export_phone(source: Source, destination: Path, wish: Wish) -> Bundled:
    """Write the bundle of a phone: .tflite and .pte in each precision wished for, samples in three languages.

    Raises ParityFailed where an artifact departs from the desk, BadInput for what cannot be exported; then
    there is no bundle.
    """
    from export import phone

    network, manifest = load_model(source.folder)
    planned = plan(network, manifest, wish, PHONE)
    with writing_bundle(destination, "phone", source.trust) as staging:
        manifest, made, goldens = _fill(staging, source, network, manifest, planned)
        segment = goldens[0].segments[0]
        typing = goldens[0].scenario
        recording = phone.Recording(
            typing.emg_uv[segment.samples], typing.valid[segment.samples], segment.frames
        )
        if not all(artifact.form.whole_window for artifact in made.artifacts):
            phone.write_samples(staging, manifest, recording)
        preferred = manifest.artifact("executorch")
        if preferred is not None:
            _write_bundled_program(staging, preferred, recording)
    return Bundled(destination, manifest, made)


def export_mcu(source: Source, destination: Path, board: str) -> Bundled:
    """Write the bundle of a microcontroller: the static int8 .tflite, C sources, estimates.

    The model must be one that `board` (configs/targets.yaml) holds: TooLarge says by how much it is not.
    Otherwise as `export_phone`.
    """
    from export import mcu

    network, manifest = load_model(source.folder)
    if manifest.form.whole_window or manifest.settling_frames:
        raise BadInput(
            f"{manifest.network} is no network for a microcontroller; leave --model out, and "
            f"`qwrist export --user {source.user.id} --target mcu` teaches one that is"
        )
    one_emission = Wish(("int8_static",), chunk_ms=1000 * manifest.stride / FRAME_RATE_HZ)
    planned = plan(network, manifest, one_emission, ("tflm",))

    def accept(path: Path) -> None:
        memory = mcu.memory_of(path.read_bytes())
        mcu.check_fits(memory.flash_bytes, memory.arena_bytes, board)

    with writing_bundle(destination, "mcu", source.trust) as staging:
        manifest, made, goldens = _fill(staging, source, network, manifest, planned, accept)
        (artifact,) = made.artifacts
        content = (staging / artifact.file).read_bytes()
        mcu.emit(staging / "c", manifest, artifact, content, goldens, planned[0].network)
        mcu.write_estimates(staging / "estimates", source.folder, content)
    return Bundled(destination, manifest, made)


def _fill(
    staging: Path,
    source: Source,
    network: Network,
    manifest: ModelManifest,
    planned: Sequence[Planned],
    accept: Callable[[Path], None] | None = None,
) -> tuple[ModelManifest, Made, tuple[Golden, ...]]:
    """What every bundle holds: artifacts that agree with the desk, goldens to repeat that, reports."""
    calibration = calibration_windows(source.user, source.folder) if calibrated(planned) else ()
    made = make(
        staging,
        network,
        manifest,
        planned,
        [listen(scenario, manifest) for scenario in scenarios(source.session)],
        calibration=calibration,
        thresholds=source.thresholds,
        progress=source.progress,
        accept=accept,
    )
    manifest = listing(manifest.model_copy(update={"artifacts": ()}), made.artifacts)
    write_manifest(staging, manifest)
    short = [listen(scenario, manifest) for scenario in scenarios(source.session, _TYPING_S)]
    goldens = expectations(network, manifest, short, [artifact.form for artifact in made.artifacts])
    write_goldens(staging, goldens, manifest)
    _prove_what_is_shipped(staging, source)
    write_report(staging, made.report)
    shutil.copyfile(source.folder / FIT_REPORT, staging / FIT_REPORT)
    reports = read_reports({name: (staging / name).read_bytes() for name in (FIT_REPORT, PARITY)})
    (staging / CARD).write_text(model_card(manifest, reports), encoding="utf-8")
    return manifest, made, goldens


def _prove_what_is_shipped(staging: Path, source: Source) -> None:
    """The files and goldens as they lie there, as whoever is given the bundle will compare them."""
    failures = check(staging, thresholds=source.thresholds, onnx=False).report.failures()
    if failures:
        raise ParityFailed(
            "no bundle was written, because what would be in it departs from its own goldens: "
            + "; ".join(failures)
        )


def _write_bundled_program(staging: Path, artifact: Artifact, recording: Recording) -> None:
    """model.bpte: the program, and its first calls on the typing as this desk's ExecuTorch answers them."""
    from export.executorch.bundled import Call, bundle
    from export.phone import inputs_of

    runtime = open_runtime(staging, artifact)
    state, calls = runtime.initial_state(), []
    for given in islice(inputs_of(recording, artifact.form), _BUNDLED_CALLS):
        log_probs, after = runtime.run(given[0] if len(given) == 1 else (given[0], given[1]), state)
        calls.append(Call((*given, *state), (log_probs, *after)))
        state = after
    program = bundle((staging / artifact.file).read_bytes(), calls)
    (staging / artifact.file).with_suffix(".bpte").write_bytes(program)
