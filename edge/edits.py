"""Edits: what to erase and what to type, so that a text follows the decoder.

Only characters that the decoder itself typed are ever erased: a backspace at the start of its own text does
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from edge.charset import BACKSPACE, CHARSET, ENTER, SHIFT, SPACE


class Edit(NamedTuple):
    """Erase `erase` characters before the cursor, then type `insert`."""

    erase: int
    insert: str

    def apply(self, text: str) -> str:
        """The text after this edit at its end."""
        return text[: len(text) - self.erase] + self.insert


def character(label: int) -> str:
    """What a label types: one character, a newline for enter, nothing for shift and backspace."""
    key = CHARSET.keys[label]
    return {SPACE: " ", ENTER: "\n", SHIFT: "", BACKSPACE: ""}.get(key, key)


def edit_step(standing: int, labels: Iterable[int]) -> tuple[int, Edit]:
    """The one edit that `labels` amount to, where `standing` characters of ours are before the cursor.

    Gives how many of ours stand there afterwards, and the edit.
    """
    backspace = CHARSET.index(BACKSPACE)
    erase, insert = 0, ""
    for label in labels:
        if label != backspace:
            insert += character(label)
        elif insert:
            insert = insert[:-1]
        elif erase < standing:
            erase += 1
    return standing - erase + len(insert), Edit(erase, insert)


UNCHANGED: Final = Edit(0, "")


class Shown(NamedTuple):
    """A text on a screen: what is settled, and beyond it what may still change."""

    settled: str = ""
    open: Edit = UNCHANGED  # what the tentative labels make of it

    @property
    def text(self) -> str:
        """As it stands on the screen."""
        return self.open.apply(self.settled)


def revise(shown: Shown, settled: Sequence[int], tentative: Sequence[int]) -> tuple[Shown, Edit]:
    """The edit that a screen needs where `settled` labels were added and `tentative` ones replace all others.

    It never erases more than what tentative labels and backspaces make necessary.
    """
    standing = len(shown.settled)
    _, wanted = edit_step(standing, [*settled, *tentative])  # on what was settled before
    since = standing - max(wanted.erase, shown.open.erase)
    old, new = shown.open.apply(shown.settled[since:]), wanted.apply(shown.settled[since:])
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    text = edit_step(standing, settled)[1].apply(shown.settled)
    return Shown(text, edit_step(len(text), tentative)[1]), Edit(len(old) - same, new[same:])


def text_of(labels: Iterable[int]) -> str:
    """The text that a whole stream of labels leaves behind."""
    return edit_step(0, labels)[1].insert
