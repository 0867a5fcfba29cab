"""A recording that is read when its turn comes: a data set is named whole and is never in memory whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edge.session import Session


class Recording(NamedTuple):
    """A recording by name."""

    name: str
    identity: str  # says what is in it: a file's hash, or what a simulated one was made from
    read: Callable[[], Session]


class Person(NamedTuple):
    """Somebody's recordings."""

    id: str
    recordings: tuple[Recording, ...]
