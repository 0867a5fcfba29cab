"""The 98 keys a decoder can say, and the blank: the one order that trainer, device and files share.

The order is emg2qwerty's (arXiv 2410.20081): letters, capitals, digits, punctuation, then the four
named keys, so that class k of any emg2qwerty-style model is class k here.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

BACKSPACE: Final = "Key.backspace"
ENTER: Final = "Key.enter"
SPACE: Final = "Key.space"
SHIFT: Final = "Key.shift"

# pynput reports each side's shift under its own name; recordings in the wild hold all three.
_ALIASES: Final = {
    " ": SPACE,
    "\n": ENTER,
    "⏎": ENTER,
    "\b": BACKSPACE,
    "⌫": BACKSPACE,
    "Key.shift_l": SHIFT,
    "Key.shift_r": SHIFT,
}

_SYMBOLS: Final = {BACKSPACE: "⌫", ENTER: "⏎", SPACE: " ", SHIFT: "⇧"}


@dataclass(frozen=True)
class Charset:
    """An immutable, ordered set of keys; the blank is the class after the last key."""

    keys: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {key: i for i, key in enumerate(self.keys)})

    @property
    def blank(self) -> int:
        """The class of the CTC blank: K - 1."""
        return len(self.keys)

    @property
    def num_classes(self) -> int:
        """K, the blank included."""
        return len(self.keys) + 1

    @property
    def sha256(self) -> str:
        """Identifies the order of the keys: a model and a decoder agree only if this agrees."""
        return hashlib.sha256("\0".join(self.keys).encode()).hexdigest()

    def __contains__(self, key: str) -> bool:
        return _ALIASES.get(key, key) in self._index

    def index(self, key: str) -> int:
        """The class of `key`, a character or a pynput name. Raises KeyError for a key outside the set."""
        return self._index[_ALIASES.get(key, key)]

    def labels(self, keys: Iterable[str]) -> list[int]:
        """The classes of `keys`; those outside the set (arrows, control, accents) are left out."""
        return [self.index(key) for key in keys if key in self]

    def render(self, labels: Sequence[int]) -> str:
        """One printable character a label (⌫ ⏎ ⇧ for the named keys): to be read and scored, not typed."""
        return "".join(_SYMBOLS.get(self.keys[i], self.keys[i]) for i in labels)


_CHARACTERS: Final = string.ascii_lowercase + string.ascii_uppercase + string.digits + string.punctuation

CHARSET: Final = Charset((*_CHARACTERS, BACKSPACE, ENTER, SPACE, SHIFT))
