"""`qwrist study`: the seed paper's tables again, on its recordings or on a simulated wearer's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import sha256_of
from edge.session import read_session
from personalize import recipe as recipes
from personalize.base_users import forbid
from personalize.emg2qwerty.files import Download, open_download
from personalize.emg2qwerty.splits import Listed, find_split
from personalize.recording import Recording
from personalize.study import TABLES, Cell, Result, Results, Row, Setting, TableName, cells, rows
from qwrist import ui
from qwrist.verbs.simulated import simulated_recordings
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from personalize.study_engine import Recordings

_MINUTES: Final = 18.3  # the mean of emg2qwerty's recordings: 1,098 s
_EPOCHS: Final = 30  # the paper's
_SIMULATED: Final = "simulated wearer: no figure here is a person's"


def study(
    folder: Annotated[
        Path | None, typer.Argument(help="emg2qwerty's folder; without one a simulated wearer is read.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where plan and results are kept, and gone on with.")] = Path(
        "study"
    ),
    table: Annotated[
        list[str] | None, typer.Option(help="sessions, architectures, preprocessing (default: all).")
    ] = None,
    split: Annotated[
        str, typer.Option(help="single_user (the paper's person), user0 to user7, or a .yaml file.")
    ] = "single_user",
    wearer: Annotated[int, typer.Option(min=0, help="Which simulated wearer.")] = 1,
    difficulty: Annotated[str, typer.Option(help="How hard that wearer is to read.")] = "mid",
    recordings: Annotated[
        int, typer.Option(min=3, max=200, help="Simulated recordings; the last two validate and test.")
    ] = 18,
    minutes: Annotated[float, typer.Option(min=0.1, max=120, help="Of each.")] = _MINUTES,
    recipe: Annotated[str, typer.Option(help="How all are trained, but for network and steps.")] = "paper",
    epochs: Annotated[int, typer.Option(min=1, help="As the paper: 30.")] = _EPOCHS,
    steps_fraction: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Of each epoch's steps; figures say so.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Makes the run repeatable.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is still to be computed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the paper's networks on more and fewer recordings; what was computed is never computed again."""
    tables = _tables(table)
    require("torch", "train")
    from personalize.study_engine import setting_of

    if folder is None:
        found = simulated(wearer, difficulty, recordings, minutes)
    else:
        found = downloaded(open_download(folder), split)
    setting = setting_of(
        found, epochs=epochs, steps_fraction=steps_fraction, seed=seed, recipe=recipes.load(recipe)
    )
    results = Results(out)
    if not dry_run:
        _run(results, setting, tables, found)
    _render(results, setting, tables, as_json=as_json)


def _tables(names: list[str] | None) -> list[TableName]:
    unknown = set(names or ()) - set(TABLES)
    if unknown:
        raise BadInput(f"there is no table {min(unknown)!r}; choose of {', '.join(TABLES)}")
    return [table for table in TABLES if not names or table in names]


def simulated(wearer: int, difficulty: str, count: int, minutes: float) -> Recordings:
    """Recordings of a simulated wearer, each a donning; the last but one validates, the last tests."""
    from personalize.study_engine import Recordings

    forbid(wearer)
    *training, validation, test = simulated_recordings(wearer, difficulty, count, minutes)
    return Recordings(tuple(training), (validation,), (test,), simulated=True)


def downloaded(download: Download, split: str) -> Recordings:
    """The recordings of a split of emg2qwerty. Raises BadInput where one is missing."""
    from personalize.study_engine import Recordings

    chosen = find_split(split, download.folder, download.listed)
    if not (chosen.train and chosen.validation and chosen.test):
        raise BadInput(f"the split {chosen.name} names nothing to train, choose or test by; choose another")
    with ui.steps("hashing") as looking:
        identities = {}
        for number, listed in enumerate(chosen.sessions):
            if listed.session not in download.files:
                raise BadInput(
                    f"{listed.session} of the split {chosen.name} is not in {download.folder}; look with: "
                    "qwrist dataset check"
                )
            looking(listed.session, number, len(chosen.sessions))
            identities[listed] = sha256_of(download.files[listed.session])

    def recorded(listed: Listed) -> Recording:
        path = download.files[listed.session]
        return Recording(listed.session, identities[listed], lambda: read_session(path))

    train, validation, test = (
        tuple(map(recorded, part)) for part in (chosen.train, chosen.validation, chosen.test)
    )
    return Recordings(train, validation, test, simulated=False)


def _run(results: Results, setting: Setting, tables: list[TableName], recordings: Recordings) -> None:
    from personalize.study_engine import run_study

    with ui.progress("study") as advance:
        begun: list[str] = []

        def begins(cell: Cell, number: int, count: int) -> None:
            begun[:] = [f"cell {number} of {count}, {cell.network}"]
            advance(0, 1, f"{begun[0]}: reading")

        def progress(epoch: int, epochs: int, within: float, loss: float) -> None:
            advance(epoch - 1 + within, epochs, f"{begun[0]}, loss {loss:.2f}")

        elsewhere = run_study(results, setting, tables, recordings, begins=begins, progress=progress)
    for key in elsewhere:
        ui.note(f"another process is at cell {key}; run the same command again for the whole table")


def _render(results: Results, setting: Setting, tables: list[TableName], *, as_json: bool) -> None:
    done = {key: results.find(key) for key in cells(setting, tables)}
    if as_json:
        found = [result.model_dump(mode="json") for result in done.values() if result is not None]
        ui.emit_json(
            {"simulated": setting.simulated, "steps_fraction": setting.steps_fraction, "cells": found}
        )
        return
    for table in tables:
        lines = [_line(row, done[setting.key(row.cell)]) for row in rows(table, len(setting.data))]
        ui.table(f"Table: {table}", _COLUMNS, lines)
        _render_epochs({row.name: done[setting.key(row.cell)] for row in rows(table, len(setting.data))})
    for remark in _remarks(setting):
        ui.say(remark)


_COLUMNS: Final = ("", "steps", "best", "val", "last", "test", "min", "paper", "its min")


def _line(row: Row, result: Result | None) -> tuple[str, ...]:
    cer, minutes = row.published
    paper = ("" if cer is None else f"{cer:.1f}", "" if minutes is None else f"{minutes:g}")
    if result is None:
        return (row.name, "to do", *[""] * 5, *paper)
    cers = [epoch.validation_cer_percent for epoch in result.epochs]
    return (
        row.name,
        f"{result.steps:,}",
        f"{result.best_epoch}/{len(cers)}",
        f"{cers[result.best_epoch - 1]:.1f}",
        f"{cers[-1]:.1f}",
        f"{result.test.percent:.1f}",
        f"{result.train_minutes:.1f}",
        *paper,
    )


def _render_epochs(results: Mapping[str, Result | None]) -> None:
    """A line an epoch, a column a row of the table that is computed."""
    found = {name: result.epochs for name, result in results.items() if result is not None}
    if not found:
        return
    lines = [
        (number, *(f"{epoch.validation_cer_percent:.1f} ({epoch.train_s / 60:.1f})" for epoch in epochs))
        for number, epochs in enumerate(zip(*found.values(), strict=True), 1)
    ]
    ui.table("Validation CER by epoch (and minutes of training it)", ["epoch", *found], lines)


def _counted(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _remarks(setting: Setting) -> list[str]:
    """What must stand beside the figures."""
    remarks = [
        "Greedy CER in percent: val of the best epoch, last of the last, test of the best; min of training.",
        "The paper does not say whether its own are of validation or of test.",
    ]
    if setting.simulated:
        remarks.append(f"Ours: {_SIMULATED} ({setting.data[0]}, and so on).")
    share = setting.steps_fraction * setting.epochs / _EPOCHS
    if share < 1:
        remarks.append(
            f"Ours: {_counted(setting.epochs)} of {setting.steps_fraction:.1%} of their steps, {share:.1%} "
            f"of the schedule of {_EPOCHS} epochs of these recordings, so no reproduction of the paper."
        )
    if len(setting.data) < 16:
        remarks.append(f"Ours: {len(setting.data)} recordings to train on at most, the paper had 16.")
    return remarks
