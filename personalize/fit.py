"""`personalize --user id`: from a person's recordings to their model, reported and, if better, put in use."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.manifest import ModelManifest
from edge.normalize import Prior, prior_from
from edge.scoring import Cer
from edge.session import Session
from edge.store import User
from personalize import base, resume
from personalize import recipe as recipes
from personalize.checkpoint import FILE_NAME, parameter_count
from personalize.checks import refuse
from personalize.evaluate import score_emissions, session_emissions
from personalize.features import FramedSession
from personalize.gate import Decision, Heard, decide
from personalize.gathering import Recordings, gather
from personalize.geometry import Geometry
from personalize.labels import labels_of
from personalize.loss import BatchLoss
from personalize.minutes import outlook
from personalize.model import describe, load_model, save_model
from personalize.networks import Network
from personalize.prompted import Found, find_key_times, needs_alignment
from personalize.recipe import Recipe, Start
from personalize.reference import TorchRuntime, in_long_chunks
from personalize.report import (
    AlignmentRecord,
    BaseRecord,
    CerRecord,
    EvaluationRecord,
    FitReport,
    GateRecord,
    OutlookRecord,
    PartRecord,
    TeacherRecord,
    write_report,
)
from personalize.splits import Part
from personalize.teacher import Teacher, said, taught_loss
from personalize.train import Progress, Training, initial_network, train, validate
from personalize.ways import fitting

_ALIGNERS_RECIPE: Final = "finetune"  # of the base, where it finds the key times that another start is taught


class Personalized(NamedTuple):
    """A model that was kept: what came of it, and where it is."""

    report: FitReport
    folder: Path


def personalize_user(
    user: User,
    recipe: Recipe,
    *,
    start: Start | None = None,
    base_folder: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    teacher: Teacher | None = None,
    least_s: float | None = None,
) -> Personalized:
    """Train a model on the recordings of `user`, keep it in a new slot, and put it in use if it is better.

    The last recording is the test: nothing is trained on it or chosen by it, so it also decides, against the
    model in use, whether the new one is surely better (personalize.gate). What a `teacher` taught is for
    other devices and is not put in use. `start` overrides the recipe's, `base_folder` holds other bases than
    those that ship. Raises NotEnoughData, BadInput (BadSession for what `personalize.checks` finds),
    TrainingFailed; then no model was kept. What was killed goes on when called again (personalize.resume).
    """
    started_s = time.monotonic()
    start = start or recipe.start
    network = starting_network(user, recipe, start, seed, base_folder)
    recordings = gather(user, least_s)
    refuse(recordings.findings)
    recipe, asked = recipes.for_minutes(recipe, recordings.minutes("train")), recipe
    fitted = _fit(network, user, recordings, recipe, start, seed=seed, progress=progress, teacher=teacher)
    test = _score(fitted.heard, recordings.test)
    decision = _decide(user, fitted.heard, recordings, taught=teacher is not None)
    report = FitReport(
        user=user.id,
        network=network.name,
        start=start,
        recipe=recipe,
        seed=seed,
        simulated=recordings.simulated,
        parts=tuple(_record(part, recordings) for part in recordings.parts),
        parameters=parameter_count(network),
        steps=recipe.steps,
        best_step=fitted.training.best.step,
        evaluations=_evaluations(fitted.training),
        alignment=tuple(AlignmentRecord(**one._asdict()) for one in fitted.found.rounds),
        validation=CerRecord.of(fitted.training.best.cer),
        current_test=None if decision.current is None else CerRecord.of(decision.current),
        test_before=None if fitted.before is None else CerRecord.of(fitted.before),
        test=CerRecord.of(test),
        promoted=decision.promoted,
        gate=_gate_record(decision),
        teacher=None if teacher is None else _teacher_record(teacher, recordings),
        base=_base_record(user, recipe, base_folder, recordings) if start == "base" else None,
        findings=tuple(f"{found.session}: {found.text}" for found in recordings.findings),
        wall_time_s=round(time.monotonic() - started_s, 1),
        picked_by_minutes=recipe != asked,
        outlook=_outlook(network, start, test, recordings) if teacher is None else None,
    )
    return Personalized(report, keep(user, network, fitted.manifest, report))


class _Fitted(NamedTuple):
    """What became of a network."""

    found: Found
    training: Training
    manifest: ModelManifest
    before: Cer | None  # on the test recording; None from scratch
    heard: Heard  # of the test recording


def _fit(
    network: Network,
    user: User,
    recordings: Recordings,
    recipe: Recipe,
    start: Start,
    *,
    seed: int,
    progress: Progress | None,
    teacher: Teacher | None,
) -> _Fitted:
    """Train `network` in place; the test recording is only listened to, before and after."""
    lesson = None if teacher is None else _lesson(teacher, user, network, recordings, recipe)
    prior = prior_from(s.frames for s in recordings.cut("train")) if _is_normalized(network) else None
    manifest = _describe(network, user, recordings, prior)
    before = None if start == "scratch" else _test(network, manifest, recordings.test)
    prepared = recordings.prepared(prior)
    cuts = recordings.cut("train", prepared), recordings.cut("validation", prepared)
    unfinished = _unfinished(user, teacher)
    found = _key_times(cuts[0], recordings, recipe, start, seed, progress, unfinished)
    cuts = found.sessions, cuts[1]
    with fitting(network, recipe.way, seed) as fitted:
        training = train(
            fitted, *cuts, recipe, seed=seed, progress=progress, loss=lesson, unfinished=unfinished
        )
    return _Fitted(found, training, manifest, before, hear(network, manifest, recordings.test))


def starting_network(
    user: User, recipe: Recipe, start: Start, seed: int, base_folder: Path | None = None
) -> Network:
    """The network to train. Raises BadInput where `start` has none of the recipe's kind."""
    match start:
        case "scratch":
            return initial_network(recipe.network, seed)
        case "base":
            network = base.load(recipe.network, base_folder)
        case "current":
            folder = user.current()
            if folder is None:
                raise BadInput(f"user {user.id} has no model yet to start from; start from base or scratch")
            network, _ = load_model(folder)
    if network.name != recipe.network:
        raise BadInput(
            f"the recipe trains a {recipe.network} network and {start} is a {network.name}; "
            "start from scratch, or choose a recipe for it"
        )
    return network


def _unfinished(user: User, teacher: Teacher | None) -> Path:
    """Where training is kept until all is done; what a teacher taught apart, by the teacher's weights."""
    folder = user.scratch("unfinished")
    if teacher is None:
        return folder
    return folder / hashlib.sha256((teacher.folder / FILE_NAME).read_bytes()).hexdigest()


def _key_times(
    training: list[FramedSession],
    recordings: Recordings,
    recipe: Recipe,
    start: Start,
    seed: int,
    progress: Progress | None,
    unfinished: Path,
) -> Found:
    """Where the start reads nothing yet, what the base hears of the prompts: CTC alone learns slowly.

    A start that reads learns as well from prompts alone (benchmarks/personalization/prompts_only.py).
    """
    if start != "scratch" or not needs_alignment(training, recipe):
        return Found(training, ())
    aligner = base.load()
    prior = prior_from(s.frames for s in recordings.cut("train")) if _is_normalized(aligner) else None
    hears = recordings.prepared(prior)
    cuts = recordings.cut("train", hears), recordings.cut("validation", hears)
    settings = recipes.load(_ALIGNERS_RECIPE)
    settings = recipes.override(settings, {"steps": min(settings.steps, recipe.steps)})
    found = find_key_times(aligner, *cuts, settings, seed=seed, progress=progress, unfinished=unfinished)
    timed = [replace(own, labels=heard.labels) for own, heard in zip(training, found.sessions, strict=True)]
    return Found(timed, found.rounds)


def _describe(network: Network, user: User, recordings: Recordings, prior: Prior | None) -> ModelManifest:
    simulated, sides = recordings.simulated, recordings.sides
    return describe(network, user=user.id, simulated=simulated, sides=sides, prior=prior)


def _is_normalized(network: Network) -> bool:
    return network.frame_input == "normalized"


def _test(network: Network, manifest: ModelManifest, session: Session) -> Cer:
    """The CER on a recording, from its samples on, by the front end that runs live."""
    return _score(hear(network, manifest, session), session)


def hear(network: Network, manifest: ModelManifest, session: Session) -> Heard:
    """What a network says of a recording, from its samples on, by the front end that runs live."""
    runtime = TorchRuntime(network, in_long_chunks(manifest.form))
    geometry = Geometry.of_manifest(manifest, runtime.form)
    return Heard(session_emissions(runtime, manifest, session), geometry)


def _score(heard: Heard, session: Session) -> Cer:
    return score_emissions(heard.log_probs, labels_of(session), heard.geometry)


def _decide(user: User, new: Heard, recordings: Recordings, *, taught: bool) -> Decision:
    """Whether the model that heard `new` of the test recording is put in use."""
    folder = user.current()
    current = None if folder is None else hear(*load_model(folder), recordings.test)
    decision = decide(new, current, labels_of(recordings.test))
    if taught:
        return decision._replace(promoted=False, reason="it was taught for another device")
    return decision


def _gate_record(decision: Decision) -> GateRecord:
    return GateRecord(reason=decision.reason, stretches=decision.stretches, probability=decision.probability)


def _outlook(network: Network, start: Start, test: Cer, recordings: Recordings) -> OutlookRecord | None:
    """By the learning curve, which was measured on live networks fitted from the base."""
    if network.name != "streaming" or start == "scratch":
        return None
    told = outlook(test.percent, recordings.minutes("train"))
    return None if told is None else OutlookRecord(minutes=told.minutes, points=told.points)


def _base_record(user: User, recipe: Recipe, folder: Path | None, recordings: Recordings) -> BaseRecord:
    card = base.card(recipe.network, folder)
    met = card.met & {user.id, recordings.test.user}
    return BaseRecord(sha256=card.sha256, command=card.command, met=tuple(sorted(met)))


def _lesson(
    teacher: Teacher, user: User, pupil: Network, recordings: Recordings, recipe: Recipe
) -> BatchLoss:
    """The loss that the teacher's emissions of the training recordings give."""
    teacher.check(user.id, recordings.parts)
    heard = recordings.cut("train", recordings.prepared(teacher.prior))
    return taught_loss(said(teacher.network, pupil, heard), recipe)


def _teacher_record(teacher: Teacher, recordings: Recordings) -> TeacherRecord:
    """Its own figures, on the recordings that choose and test its pupil."""
    chosen_by = recordings.cut("validation", recordings.prepared(teacher.prior))
    return TeacherRecord(
        model=teacher.folder.name,
        network=teacher.network.name,
        parameters=parameter_count(teacher.network),
        validation=CerRecord.of(validate(teacher.network, chosen_by)),
        test=CerRecord.of(_test(teacher.network, teacher.manifest, recordings.test)),
    )


def _record(part: Part, recordings: Recordings) -> PartRecord:
    session = next(s for s in recordings.sessions if s.name == part.name)
    return PartRecord(
        session=part.name,
        role=part.role,
        start_s=part.start / FRAME_RATE_HZ,
        minutes=part.minutes,
        labels=part.of(session).labels.count,
    )


def _evaluations(training: Training) -> tuple[EvaluationRecord, ...]:
    return tuple(
        EvaluationRecord(step=e.step, loss=e.loss, validation_cer_percent=e.cer.percent)
        for e in training.evaluations
    )


def keep(user: User, network: Network, manifest: ModelManifest, report: FitReport) -> Path:
    """Write a model into a new slot of `user`, and put it in use where its report says so."""
    with user.new_slot() as folder:
        save_model(folder, network, manifest)
        write_report(folder, report)
    number = user.slots()[-1]
    if report.promoted:
        user.promote(number)
    resume.clear(user.scratch("unfinished"))
    return user.slot(number)
