"""A US keyboard under ten fingers: which hand, finger and reach each key asks for."""

from __future__ import annotations

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
