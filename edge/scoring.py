"""Character error rate with its parts: (insertions + deletions + substitutions) / length of the target.

emg2qwerty's convention (arXiv 2410.20081): labels are compared, so backspace and enter count as characters,
and several recordings are averaged by length (micro-average).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from edge.errors import NotEnoughData


class Cer(NamedTuple):
    """Counts of a Levenshtein alignment; `length` is the target's."""

    insertions: int  # said and not meant
    deletions: int  # meant and not said
    substitutions: int
    length: int

    @property
    def errors(self) -> int:
        """All three kinds together."""
        return self.insertions + self.deletions + self.substitutions

    @property
    def percent(self) -> float:
        """100 for as many errors as characters; above it for more. Raises NotEnoughData without a target."""
        if self.length == 0:
            raise NotEnoughData("no key was meant, so there is no error rate; score a recording with keys")
        return 100.0 * self.errors / self.length


def score(target: Sequence[int] | str, said: Sequence[int] | str) -> Cer:
    """Compare what was `said` with the `target`: labels, or text."""
    kinds = Counter(op.tag for op in Levenshtein.editops(target, said))
    return Cer(kinds["insert"], kinds["delete"], kinds["replace"], len(target))


def matches(target: Sequence[int] | str, said: Sequence[int] | str) -> list[tuple[int, int]]:
    """Where `said` is right: pairs of positions in `target` and in `said`, in order."""
    blocks = Levenshtein.opcodes(target, said)
    return [
        (block.src_start + i, block.dest_start + i)
        for block in blocks
        if block.tag == "equal"
        for i in range(block.src_end - block.src_start)
    ]


def total(parts: Iterable[Cer]) -> Cer:
    """The micro-average of several recordings: counts and lengths added up."""
    return Cer(*map(sum, zip(Cer(0, 0, 0, 0), *parts, strict=True)))
