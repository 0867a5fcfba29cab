"""A US keyboard under ten fingers: which hand, finger and reach each key asks for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from edge.charset import BACKSPACE, ENTER, SHIFT, SPACE
from edge.samples import Side

SHIFT_RIGHT: Final = "Key.shift_r"
THUMB: Final = 0

_ROWS: Final = ((2, "1234567890-="), (1, "qwertyuiop[]"), (0, "asdfghjkl;'"), (-1, "zxcvbnm,./"))
_SHIFTED: Final = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_FINGERS: Final = (4, 3, 2, 1, 1, 1, 1, 2, 3, 4)  # little .. index, index .. little, by column
_ONE_HAND_FINGERS: Final = (4, 4, 3, 3, 2, 2, 2, 1, 1, 1)  # the same columns under one hand that travels
_HOME: Final = (0, 1, 2, 3, 3, 6, 6, 7, 8, 9)  # the column that each column's finger rests on
_MIDLINE: Final = 5  # columns below it belong to the left hand


class Place(NamedTuple):
    """Where a key is struck."""

    side: Side
    finger: int  # 0 thumb .. 4 little finger
    row: int  # rows above the home row
    column: int  # columns from the left edge
    reach: int  # columns away from where the finger rests


class Pair(StrEnum):
    """What two keys pressed one after the other ask of the hands."""

    REPEAT = "repeat"  # the same letter twice
    SAME_FINGER = "same finger"
    SAME_HAND = "same hand"
    ALTERNATE = "alternate hands"
    TO_SPACE = "to space"
    FROM_SPACE = "from space"
    TO_ENTER = "to enter"
    TO_BACKSPACE = "to backspace"  # a slip is seen
    BACKSPACES = "backspaces"
    FROM_BACKSPACE = "from backspace"
    FROM_ENTER = "from enter"  # the next prompt is read


def base_key(key: str) -> str:
    """The key that is struck for `key`: its unshifted twin, in lower case."""
    if key == " ":
        return SPACE
    return _SHIFTED.get(key, key.lower() if len(key) == 1 else key)


def needs_shift(character: str) -> bool:
    """Whether `character` is typed with Shift held."""
    return character in _SHIFTED or character.isupper()


def layout(sides: tuple[Side, ...], space_side: Side) -> dict[str, Place]:
    """Every key's place for hands on `sides`; with one hand worn, that hand types everything."""
    two_handed = {key: _place(row, column) for row, keys in _ROWS for column, key in enumerate(keys)}
    two_handed |= {
        "`": Place("left", 4, 2, -1, 1),
        "\\": Place("right", 4, 1, 12, 3),
        BACKSPACE: Place("right", 4, 2, 11, 2),
        ENTER: Place("right", 4, 0, 11, 2),
        SHIFT: Place("left", 4, -1, -1, 1),
        SHIFT_RIGHT: Place("right", 4, -1, 10, 1),
        SPACE: Place(space_side, THUMB, -1, 4, 0),
    }
    if len(sides) > 1:
        return two_handed
    return {key: _one_handed(place, sides[0]) for key, place in two_handed.items()}


def same_finger(places: Mapping[str, Place], one: str, other: str) -> bool:
    """Whether one finger strikes both keys."""
    a, b = places[base_key(one)], places[base_key(other)]
    return (a.side, a.finger) == (b.side, b.finger)


def pair_of(places: Mapping[str, Place], before: str, key: str) -> Pair:
    """The kind of pair that the two are: a correction first, then Enter, then a space, then fingers."""
    if BACKSPACE in (before, key):
        if before == key:
            return Pair.BACKSPACES
        return Pair.TO_BACKSPACE if key == BACKSPACE else Pair.FROM_BACKSPACE
    if ENTER in (before, key):
        return Pair.FROM_ENTER if before == ENTER else Pair.TO_ENTER
    if key == SPACE:
        return Pair.TO_SPACE
    if before == SPACE:
        return Pair.FROM_SPACE
    if before == key:
        return Pair.REPEAT
    if same_finger(places, before, key):
        return Pair.SAME_FINGER
    alike = places[base_key(before)].side == places[base_key(key)].side
    return Pair.SAME_HAND if alike else Pair.ALTERNATE


def neighbours(places: dict[str, Place], key: str) -> list[str]:
    """Letters one step from the letter `key`, under the same hand: what a slip hits instead."""
    here = places[key]
    return [
        other
        for other, place in places.items()
        if other.isalpha()
        and len(other) == 1
        and place.side == here.side
        and abs(place.row - here.row) + abs(place.column - here.column) == 1
    ]


def _place(row: int, column: int) -> Place:
    nearest = min(column, len(_FINGERS) - 1)
    side: Side = "left" if column < _MIDLINE else "right"
    return Place(side, _FINGERS[nearest], row, column, abs(column - _HOME[nearest]))


def _one_handed(place: Place, side: Side) -> Place:
    """The hand sits on its own half and travels: keys of the other half ask for a longer reach."""
    if place.finger == THUMB:
        return place._replace(side=side)
    column = min(max(place.column, 0), len(_ONE_HAND_FINGERS) - 1)
    own = column if side == "left" else len(_ONE_HAND_FINGERS) - 1 - column
    return place._replace(side=side, finger=_ONE_HAND_FINGERS[own], reach=max(own - 3, place.reach))
