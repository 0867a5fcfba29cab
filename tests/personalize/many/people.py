"""Stores of people with toy recordings, and what is asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from edge.session import write_session
from edge.store import User, UserStore
from personalize import recipe, splits
from personalize.checks import refuse
from personalize.fit import Personalized
from personalize.gathering import gather
from personalize.many.job import Job, Order, Outcome
from personalize.many.key import code_hash
from personalize.many.work import work
from personalize.recipe import Recipe
from personalize.report import CerRecord, FitReport, write_report
from tests.personalize.toys import toy_session

BARELY = recipe.override(
    recipe.load("finetune"), {"steps": 1, "evaluations": 1, "batch_windows": 2, "window_s": 2.0}
)


def order(**changes: object) -> Order:
    return Order(recipe=BARELY, code=code_hash()).model_copy(update=changes)


def people(root: Path, names: Sequence[str], seconds: float = 20.0) -> UserStore:
    store = UserStore(root)
    for name in names:
        record(store.create(name), (seconds, 5.0, 5.0))
    return store


def record(user: User, seconds: Sequence[float], first_seed: int = 0) -> None:
    for seed, duration_s in enumerate(seconds, first_seed):
        session = replace(toy_session(seed, duration_s), user=user.id)
        write_session(user.session_path(user.new_session_name()), session)


def jobs(store: UserStore, asked: Order | None = None) -> list[Job]:
    return [Job(user=user, store=store.root, order=asked or order()) for user in store.users()]


def brief_work(job: Job) -> Outcome:
    """The worker's own, with seconds of recordings to be enough."""
    with patch.object(splits, "MIN_TRAINING_S", 10.0):
        return work(job)


def made_up(user: User, recipe: Recipe, *, seed: int, **_: object) -> Personalized:
    """Everything of a personalisation but its training: recordings are checked, a model is put in use."""
    recordings = gather(user)
    refuse(recordings.findings)
    cer = CerRecord(percent=10.0, insertions=0, deletions=1, substitutions=0, length=10)
    report = FitReport(
        user=user.id,
        network=recipe.network,
        start=recipe.start,
        recipe=recipe,
        seed=seed,
        simulated=True,
        parts=(),
        parameters=0,
        steps=1,
        best_step=1,
        evaluations=(),
        validation=cer,
        test_before=None,
        test=cer,
        promoted=True,
        wall_time_s=0,
    )
    with user.new_slot() as folder:
        write_report(folder, report)
    user.promote(user.slots()[-1])
    return Personalized(report, user.slot(user.slots()[-1]))
