"""What was typed beside what was read, key by key, and the errors counted by key and by finger."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rapidfuzz.distance import Levenshtein

from edge.charset import BACKSPACE, CHARSET, ENTER, SHIFT, SPACE
from edge.scoring import Cer

_SHIFTED: Final = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
# Touch typing as it is taught on a US keyboard.
_FINGERS: Final = (
    ("left little", ("`", *"1qaz", SHIFT)),
    ("left ring", tuple("2wsx")),
    ("left middle", tuple("3edc")),
    ("left index", tuple("4rfv5tgb")),
    ("right index", tuple("6yhn7ujm")),
    ("right middle", tuple("8ik,")),
    ("right ring", tuple("9ol.")),
    ("right little", (*"0p;/-['=]\\", BACKSPACE, ENTER)),
    ("thumbs", (SPACE,)),
)
_FINGER_OF: Final = {key: finger for finger, keys in _FINGERS for key in keys}


class Pair(NamedTuple):
    """A place of the alignment: what was `meant` and what was `said`; None where there is no such key."""

    meant: int | None
    said: int | None


class Count(NamedTuple):
    """Errors on a key or finger: of `meant` presses; `inserted` counts it said where nothing was meant."""

    meant: int
    wrong: int
    missed: int
    inserted: int

    @property
    def missed_or_wrong_percent(self) -> float | None:
        """Of what was meant; None where it never was."""
        return 100 * (self.wrong + self.missed) / self.meant if self.meant else None


def align(meant: Sequence[int], said: Sequence[int]) -> list[Pair]:
    """The pairs of a Levenshtein alignment, in order: the same that the CER counts."""
    pairs: list[Pair] = []
    for block in Levenshtein.opcodes(meant, said):
        typed = meant[block.src_start : block.src_end]
        read = said[block.dest_start : block.dest_end]
        pairs += itertools.starmap(Pair, itertools.zip_longest(typed, read))
    return pairs


def cer_of(pairs: Iterable[Pair]) -> Cer:
    """The same counts as edge.scoring's."""
    kinds = Counter(_kind(pair) for pair in pairs)
    length = kinds["right"] + kinds["missed"] + kinds["wrong"]
    return Cer(kinds["inserted"], kinds["missed"], kinds["wrong"], length)


def by_key(pairs: Iterable[Pair]) -> dict[str, Count]:
    """Errors by the key that is struck: what is typed with Shift counts on its keycap."""
    return _counted((keycap(_name(pair)), _kind(pair)) for pair in pairs)


def by_finger(pairs: Iterable[Pair]) -> dict[str, Count]:
    """Errors by the finger that touch typing gives the key to, from left to right; all fingers."""
    found = _counted((_FINGER_OF[keycap(_name(pair))], _kind(pair)) for pair in pairs)
    return {finger: found.get(finger, Count(0, 0, 0, 0)) for finger, _ in _FINGERS}


def by_hand(pairs: Iterable[Pair]) -> dict[str, Count]:
    """Errors by hand; thumbs apart, as either may strike the space bar."""
    hands: dict[str, Count] = {}
    for finger, count in by_finger(pairs).items():
        hand = finger.partition(" ")[0]
        hands[hand] = Count(*map(sum, zip(hands.get(hand, Count(0, 0, 0, 0)), count, strict=True)))
    return hands


def mistaken(pairs: Iterable[Pair]) -> dict[str, tuple[str, int]]:
    """What each key was most often read as when it was read wrong, and how often."""
    said: dict[str, Counter[str]] = {}
    for meant, heard in pairs:
        if meant is not None and heard is not None and meant != heard:
            said.setdefault(keycap(CHARSET.keys[meant]), Counter())[CHARSET.keys[heard]] += 1
    return {key: min(found.items(), key=lambda item: (-item[1], item[0])) for key, found in said.items()}


def keycap(key: str) -> str:
    """The key that is struck for `key`: without Shift."""
    return _SHIFTED.get(key, key.lower() if len(key) == 1 else key)


def _kind(pair: Pair) -> str:
    if pair.meant is None:
        return "inserted"
    if pair.said is None:
        return "missed"
    return "right" if pair.meant == pair.said else "wrong"


def _name(pair: Pair) -> str:
    """The key an error is put down to: what was meant, or what was said where nothing was."""
    label = pair.said if pair.meant is None else pair.meant
    assert label is not None  # an alignment has no pair of nothing with nothing
    return CHARSET.keys[label]


def _counted(kinds: Iterable[tuple[str, str]]) -> dict[str, Count]:
    counts = Counter(kinds)
    return {
        name: Count(
            counts[name, "right"] + counts[name, "wrong"] + counts[name, "missed"],
            counts[name, "wrong"],
            counts[name, "missed"],
            counts[name, "inserted"],
        )
        for name in dict.fromkeys(name for name, _ in counts)
    }
