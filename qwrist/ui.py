"""Rendering: tables, progress bars, JSON. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class Advance(Protocol):
    """Tells a progress bar where a step stands."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """`done` of `total`, and a word on what is happening."""


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar with the time left, on stderr."""
    with Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=ERR,
    ) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: float, total: float, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance


@contextmanager
def steps(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for work in named steps: call it with what is being done, its number and how many."""
    with progress(title) as advance:
        yield lambda what, step, total: advance(step, total, what)
        advance(1, 1, "done")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, words: int = 1) -> None:
    """Print a table; the first `words` columns to the left, the others, numbers, to the right."""
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        grid.add_column(column, justify="left" if i < words else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    OUT.print(grid)


def facts(title: str, rows: Mapping[str, object]) -> None:
    """Print names and values."""
    grid = Table(title=title, title_justify="left", show_header=False)
    grid.add_column()
    grid.add_column(overflow="fold")  # a path that is cut cannot be copied
    for name, value in rows.items():
        grid.add_row(name, Text(str(value)))
    OUT.print(grid)


def emit_json(result: object) -> None:
    """Print one JSON document."""
    print(json.dumps(result, indent=1, ensure_ascii=False))  # noqa: T201  (rich would wrap long lines)


def say(text: str = "") -> None:
    """A line of result."""
    OUT.print(text, markup=False)


def note(text: str) -> None:
    """A line on the way, to stderr."""
    ERR.print(text, markup=False)
