"""`personalize --all`: everybody in the store, by the cores of this machine or by a cluster of Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import typer

from edge.errors import BadInput
from edge.extras import require
from edge.store import UserStore
from qwrist import ui
from qwrist.verbs.doctor import FAILED
from qwrist.verbs.link_test import INTERRUPTED

if TYPE_CHECKING:
    from personalize.many.job import Engine, Order
    from personalize.many.report import AllReport, State, UserRecord

_STATES: Final[tuple[State, ...]] = ("fitted", "up to date", "ready", "refused", "failed", "unfinished")
_COLUMNS: Final = ("user", "", "model", "in use", "min", "CER from", "CER", "s")
_SIMULATED: Final = "simulated wearers: no figure of theirs is a person's"


def personalize_everybody(order: Order, engine: str, workers: int | None, *, as_json: bool) -> None:
    """Run, show who was fitted and who was not, and exit with 1 where somebody has to be looked after."""
    require("torch", "train")
    from personalize.many.report import FILE_NAME
    from personalize.many.run import personalize_all

    store = UserStore.default()
    chosen = _engine(engine, workers)
    with ui.progress("personalising") as advance, _terminated_as_interrupted():

        def told(record: UserRecord, done: int, of: int) -> None:
            advance(done, of, f"{record.user}: {record.state}")

        report = personalize_all(store, order, chosen, name=engine, told=told)
    if as_json:
        ui.emit_json(report.model_dump(mode="json"))
    else:
        _render(report)
    if not order.dry_run:
        ui.note(f"all of it is in {store.root / FILE_NAME}")
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if report.wanting:
        raise typer.Exit(FAILED)


def _engine(name: str, workers: int | None) -> Engine:
    match name:
        case "local":
            from personalize.many import local

            return partial(local.run, workers=workers or os.cpu_count() or 1)
        case "ray":
            from personalize.many import on_ray

            on_ray.imported()  # what is missing is said before anything begins
            return partial(on_ray.run, workers=workers)
        case _:
            raise BadInput(f"--engine is {name!r}; expected local or ray")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """What schedulers send ends a run as Ctrl-C does: with its report."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _render(report: AllReport) -> None:
    ui.table("Everybody", _COLUMNS, [_row(user) for user in report.users], words=2)
    counts = [(state, report.count(state)) for state in _STATES]
    ui.say(", ".join(f"{count} {state}" for state, count in counts if count) + f"; {report.seconds:.0f} s")
    for user in report.users:  # sentences in a column would be folded to nothing
        if user.reason and not user.promoted:
            ui.say(f"{user.user}: {user.reason}")
        for finding in user.findings:
            ui.note(f"{user.user}: {finding}")
    if any(user.simulated for user in report.users):
        ui.say(_SIMULATED)
    if report.interrupted:
        ui.say("interrupted: the same command goes on")


def _row(user: UserRecord) -> tuple[str, ...]:
    before = user.start_cer_percent if user.current_cer_percent is None else user.current_cer_percent
    return (
        user.user,
        user.state,
        "" if user.model is None else f"{user.model:04d}",
        {None: "", True: "yes", False: "no"}[user.promoted],
        _number(user.training_minutes),
        _number(before),
        _number(user.cer_percent),
        _number(user.seconds),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
