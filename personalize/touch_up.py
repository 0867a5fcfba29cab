"""`personalize --touch-up`: after a new donning, ten sentences teach the model in use how the bands sit now.

Where it is sure how the bands are turned (personalize.donning), the sentences are rolled back first, as all
typing is then: what is left to learn is what a whole turn does not mend. The model is trained briefly on them
and on twice as much of what it was trained on before. It is put in use where sentences that it was not taught
are surely read better (personalize.cross_validation), and the test recording of before at most a point worse.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.errors import BadInput, NotEnoughData
from edge.features import FRAME_RATE_HZ
from edge.manifest import ModelManifest
from edge.normalize import Prior
from edge.roll import STRAIGHT, Roll, Turns, newest_recording, roll
from edge.roll import keep as keep_roll
from edge.samples import SIDES
from edge.scoring import Cer, total
from edge.session import Session, read_session
from edge.store import User
from personalize.cache import FrameCache
from personalize.checkpoint import parameter_count
from personalize.checks import Finding, check_session, check_users, refuse
from personalize.cross_validation import FOLDS, Lesson, Told, cross_validate, sentences_of, teach
from personalize.donning import prints, seats
from personalize.evaluate import score_emissions
from personalize.features import FramedSession
from personalize.fit import Personalized, hear, keep, starting_network
from personalize.gate import SURE
from personalize.labels import labels_of
from personalize.model import load_model
from personalize.networks import Network
from personalize.prints import trained_on
from personalize.recipe import Recipe
from personalize.report import (
    CerRecord,
    EvaluationRecord,
    FitReport,
    GateRecord,
    PartRecord,
    TouchUpRecord,
    read_report,
)
from personalize.splits import Role
from personalize.train import Progress

FEWEST_SENTENCES: Final = 10  # a minute of typing; two are a fold, and each fold learns from eight
MOST_LOST: Final = 1.0  # points of CER on the test recording: the donnings before must not be forgotten
REHEARSED: Final = 2.0  # seconds of earlier recordings for one of the sentences
EXCERPT_S: Final = 20.0  # of an earlier recording at once: several windows, and many have their turn
_LEAD_S: Final = 30.0  # before an excerpt: what its running statistics come from


class Verdict(NamedTuple):
    """Whether the model that was touched up replaces the one in use, and why."""

    promoted: bool
    reason: str


def touch_up(user: User, recipe: Recipe, *, seed: int = 0, progress: Progress | None = None) -> Personalized:
    """Teach the model in use the newest recording of `user`, keep it in a new slot, use it if it is better.

    Raises BadInput where there is no model in use or no recording newer than it, NotEnoughData where that
    holds under `FEWEST_SENTENCES`, BadSession for what `personalize.checks` finds, TrainingFailed; then no
    model was kept.
    """
    started_s = time.monotonic()
    network = starting_network(user, recipe, "current", seed)
    material = _material(user, seed)
    current, lesson = material.current, material.lesson
    watch = None if progress is None else _in_all(progress)
    told = cross_validate(current, lesson, recipe, seed=seed, progress=watch)
    loss = teach(network, [lesson.new, *lesson.rehearsal], recipe, seed=seed, progress=watch)
    old, new = (_cer(one, material) for one in (current, network))
    verdict = decide(told, new.percent - old.percent)
    before, after = total(told.before), total(told.after)
    report = FitReport(
        user=user.id,
        network=network.name,
        start="current",
        recipe=recipe,
        seed=seed,
        simulated=material.manifest.simulated or material.session.simulated,
        parts=(*material.before.parts, _part(lesson.new, material.turned)),
        parameters=parameter_count(network),
        steps=recipe.steps,
        best_step=recipe.steps,
        evaluations=(EvaluationRecord(step=recipe.steps, loss=loss, validation_cer_percent=after.percent),),
        validation=CerRecord.of(after),
        current_test=CerRecord.of(old),
        test_before=CerRecord.of(old),
        test=CerRecord.of(new),
        promoted=verdict.promoted,
        gate=GateRecord(reason=verdict.reason, stretches=len(lesson.sentences), probability=told.probability),
        findings=tuple(f"{found.session}: {found.text}" for found in material.findings),
        wall_time_s=round(time.monotonic() - started_s, 1),
        touch_up=TouchUpRecord(
            session=lesson.new.name,
            sentences=len(lesson.sentences),
            folds=FOLDS,
            before=CerRecord.of(before),
            after=CerRecord.of(after),
            lost_points=round(new.percent - old.percent, 3),
        ),
    )
    folder = keep(user, network, material.manifest, report)
    if report.promoted or material.sure:
        _keep_roll(user, material)
    return Personalized(report, folder)


def decide(told: Told, lost_points: float) -> Verdict:
    """By the sentences, and by the points of CER `lost_points` that the test recording is read worse."""
    sure = told.probability
    reason = (
        f"{total(told.after).percent:.1f} % of sentences that it was not taught against "
        f"{total(told.before).percent:.1f} % before (P = {sure:.3f}; {SURE:g} is needed), and "
        f"{lost_points:+.1f} points on the test recording of before (at most {MOST_LOST:+.1f})"
    )
    return Verdict(sure >= SURE and lost_points <= MOST_LOST, reason)


def _in_all(progress: Progress) -> Progress:
    """Tell of all trainings as of one."""
    done = count(1)
    return lambda _, steps, loss: progress(next(done), (FOLDS + 1) * steps, loss)


class _Material(NamedTuple):
    """What a touch-up is made of and judged by."""

    before: FitReport
    current: Network
    manifest: ModelManifest
    session: Session  # of the sentences, as it was worn
    turned: Turns  # how `lesson.new` was rolled
    sure: bool  # of that
    lesson: Lesson
    test: Session  # of the model in use
    findings: tuple[Finding, ...]


def _material(user: User, seed: int) -> _Material:
    folder = user.current()
    assert folder is not None  # starting_network refuses that
    current, manifest = load_model(folder)
    before = read_report(folder)
    name = _newest(user, before)
    session = read_session(user.session_path(name))
    sentences = sentences_of(session)
    if len(sentences) < FEWEST_SENTENCES:
        raise NotEnoughData(
            f"{name} holds {len(sentences)} sentences and a touch-up needs {FEWEST_SENTENCES}; record them "
            f"anew: qwrist enroll --user {user.id} --sentences {FEWEST_SENTENCES}"
        )
    cache = FrameCache(user.scratch("frames"))
    framed = cache.framed(session, name)
    test = read_session(user.session_path(_parts(before, "test")[0].session))
    users = [(_parts(before, "test")[0].session, test.user), (name, session.user)]
    findings = (*check_session(session, framed), *check_users(users))
    refuse(findings)
    prior = None if manifest.normalization is None else manifest.normalization.prior
    rehearsal = _rehearsal(user, before, prior, _minutes(framed), cache, seed)
    turned, sure = _turns(user, folder, framed)
    lesson = Lesson(rolled(framed, turned).prepared(prior), sentences, tuple(rehearsal))
    return _Material(before, current, manifest, session, turned, sure, lesson, test, findings)


def _turns(user: User, folder: Path, framed: FramedSession) -> tuple[Turns, bool]:
    """By how much to roll, 0 where that is a guess; and whether all of it is sure."""
    try:
        found = seats(trained_on(user, folder), prints(framed.frames))
    except BadInput:  # no recording of training is left to compare with: the sentences stay as they were worn
        return STRAIGHT, False
    by_side = {seat.side: seat.turned for seat in found if seat.is_sure}
    left, right = (by_side.get(side, 0) for side in SIDES)
    return (left, right), len(by_side) == len(found)


def rolled(session: FramedSession, turned: Turns) -> FramedSession:
    """A recording with each band's electrodes where they were in training."""
    return session if turned == STRAIGHT else replace(session, values=roll(session.values, turned))


def _keep_roll(user: User, material: _Material) -> None:
    """The sentences have told how the bands sit, for whichever model is in use now."""
    folder = user.current()
    assert folder is not None
    kept = Roll(
        measured_s=float(material.session.time_s[-1]),
        turned=material.turned,
        model=folder.name,
        newest=newest_recording(user),
    )
    keep_roll(user, kept)


def _newest(user: User, before: FitReport) -> str:
    """The newest recording. Raises BadInput where the model in use was made of it."""
    newest = newest_recording(user)
    if newest in {part.session for part in before.parts}:
        raise BadInput(
            f"{newest}, the newest recording, is one that the model in use was made of; put the bands on and "
            f"record sentences: qwrist enroll --user {user.id} --sentences {FEWEST_SENTENCES}"
        )
    return newest


def _rehearsal(
    user: User, before: FitReport, prior: Prior | None, minutes: float, cache: FrameCache, seed: int
) -> Iterator[FramedSession]:
    """Excerpts of the training recordings that are there, drawn by their length."""
    rng = np.random.default_rng(seed)
    parts = [part for part in _parts(before, "train") if user.session_path(part.session).is_file()]
    weights = np.array([part.minutes for part in parts])
    wanted = round(60 * minutes * REHEARSED / EXCERPT_S)
    drawn = rng.multinomial(wanted, weights / weights.sum()).tolist() if parts else []
    for part, times in zip(parts, drawn, strict=True):
        if times:
            whole = cache.framed(read_session(user.session_path(part.session)), part.session)
            start = round(part.start_s * FRAME_RATE_HZ)
            cut = whole.between(start, start + round(60 * part.minutes * FRAME_RATE_HZ))
            yield from (excerpt(rolled(cut, part.turned), prior, rng) for _ in range(times))


def excerpt(session: FramedSession, prior: Prior | None, rng: np.random.Generator) -> FramedSession:
    """`EXCERPT_S` of log power from anywhere in it, or all, as a network's input."""
    length, lead = (round(seconds * FRAME_RATE_HZ) for seconds in (EXCERPT_S, _LEAD_S))
    start = int(rng.integers(max(1, len(session.values) - length)))
    first = max(0, start - lead)
    prepared = session.between(first, start + length).prepared(prior)
    return prepared.between(start - first, len(prepared.values))


def _cer(network: Network, material: _Material) -> Cer:
    """On the test recording of the model in use."""
    heard = hear(network, material.manifest, material.test)
    return score_emissions(heard.log_probs, labels_of(material.test), heard.geometry)


def _parts(report: FitReport, role: Role) -> list[PartRecord]:
    return [part for part in report.parts if part.role == role]


def _minutes(session: FramedSession) -> float:
    return len(session.values) / FRAME_RATE_HZ / 60


def _part(session: FramedSession, turned: Turns) -> PartRecord:
    return PartRecord(
        session=session.name,
        role="train",
        start_s=0.0,
        minutes=_minutes(session),
        labels=session.labels.count,
        turned=turned,
    )
