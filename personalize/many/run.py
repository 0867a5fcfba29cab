"""`personalize --all`: every user of a store is fitted once; who cannot be, and why, is reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final, assert_never

from edge.errors import BadInput, QwristError
from edge.files import locked
from edge.store import User, UserStore
from personalize.many.job import Engine, Failed, Fitted, Job, Order, Outcome, Ready, Refused, UpToDate
from personalize.many.keeping import keep, settle
from personalize.many.report import FILE_NAME, AllReport, State, UserRecord, write_all_report
from personalize.report import read_report

_LOCK: Final = ".personalize-all.lock"

Told = Callable[[UserRecord, int, int], None]
"""Told of each user: what became of them, how many are done, of how many."""


def personalize_all(
    store: UserStore, order: Order, engine: Engine, *, name: str, told: Told | None = None
) -> AllReport:
    """Fit every user of `store` by `engine`, which the report calls `name`.

    Interrupted (KeyboardInterrupt) the rest stay unfinished, and a second run goes on. The report is written
    into the store, but for a dry run. Raises BadInput where another run is at it.
    """
    started, started_s = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    users = store.users()
    if not users:
        raise BadInput(f"there are no users in {store.root}; record one with: qwrist enroll --user ID")
    root = store.root.resolve()
    records = {user: UserRecord(user=user) for user in users}
    with _alone(store):
        interrupted = not _run(
            [Job(user=user, store=root, order=order) for user in users], store, engine, records, told
        )
        report = AllReport(
            started=started,
            seconds=round(time.monotonic() - started_s, 1),
            interrupted=interrupted,
            engine=name,
            recipe=order.recipe,
            seed=order.seed,
            code=order.code,
            users=tuple(records.values()),
        )
        if not order.dry_run:
            write_all_report(store.root / FILE_NAME, report)
    return report


def _run(
    jobs: list[Job], store: UserStore, engine: Engine, records: dict[str, UserRecord], told: Told | None
) -> bool:
    """Fill `records`; whether it came to its end."""
    try:
        with closing(engine(jobs)) as outcomes:
            for done, (job, outcome) in enumerate(outcomes, 1):
                records[job.user] = _conclude(store, job.user, outcome)
                if told is not None:
                    told(records[job.user], done, len(jobs))
    except KeyboardInterrupt:
        return False
    return True


def _conclude(store: UserStore, name: str, outcome: Outcome) -> UserRecord:
    """Keep what came of a job, and say it."""
    try:
        match outcome:
            case Fitted():
                user = store.user(name)  # who was forgotten meanwhile stays forgotten
                record = _told(user, keep(user, outcome), "fitted")
                spent = {"seconds": outcome.seconds, "cpu_s": outcome.cpu_s, "host": outcome.host}
                return record.model_copy(update=spent)
            case UpToDate(model=model):
                user = store.user(name)
                settle(user, model)
                return _told(user, model, "up to date")
            case Ready(minutes=minutes, findings=findings):
                return UserRecord(user=name, state="ready", training_minutes=minutes, findings=findings)
            case Refused(reason=reason):
                return UserRecord(user=name, state="refused", reason=reason)
            case Failed(reason=reason, detail=detail):
                return UserRecord(user=name, state="failed", reason=reason, detail=detail)
            case _:
                assert_never(outcome)
    except QwristError as error:
        return UserRecord(user=name, state="refused", reason=str(error))


def _told(user: User, model: int, state: State) -> UserRecord:
    report = read_report(user.slot(model))
    return UserRecord(
        user=user.id,
        state=state,
        reason="" if report.gate is None else report.gate.reason,
        model=model,
        promoted=report.promoted,
        simulated=report.simulated,
        training_minutes=round(report.minutes("train"), 2),
        start_cer_percent=None if report.test_before is None else report.test_before.percent,
        current_cer_percent=None if report.current_test is None else report.current_test.percent,
        cer_percent=report.test.percent,
        findings=report.findings,
    )


@contextmanager
def _alone(store: UserStore) -> Iterator[None]:
    """Two runs at once would fit everybody twice."""
    path = store.root / _LOCK
    path.touch(mode=0o600)
    try:
        with locked(path):
            yield
    except BlockingIOError:
        raise BadInput(f"another personalize --all is at work on {store.root}; wait for its end") from None
