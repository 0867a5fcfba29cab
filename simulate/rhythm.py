"""A manner of typing drawn from real people's statistics: intervals, holds, slips and the keyboard's poll."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Self

import numpy as np

from edge.charset import ENTER, SHIFT
from edge.samples import KeyPress, Side
from simulate.keyboard import SHIFT_RIGHT, Pair, Place, needs_shift, pair_of
from simulate.typing_statistics import TypingStatistics

_BETWEEN_KEYS_S: Final = 0.005  # a key is up for this long, at least, before it goes down again
_LEAST_GAP_S: Final = 0.002  # two fingers may land together; presses stay in order
_LEAST_READING_S: Final = 0.45  # 1st percentile of the logs; the next prompt is shown before it is typed
_STAMP_S: Final = 0.001  # 99 % of the logs' intervals are within this of a multiple of the poll
_LONGEST_HOLD_S: Final = 1.0  # a key held longer repeats itself, which nobody means


@dataclass(frozen=True)
class Rhythm:
    """One person as `statistics` draw them."""

    statistics: TypingStatistics
    interval_s: float  # median between presses of letters
    interval_spread: float  # of its logarithm
    hold_s: float  # median key down to key up
    hold_spread: float  # of its logarithm
    slip_rate: float  # of letters
    space_side: Side
    poll_s: float  # the keyboard reports keys on this grid; 0: at once

    @classmethod
    def draw(cls, statistics: TypingStatistics, rng: np.random.Generator) -> Rhythm:
        """One person and their keyboard."""
        return cls(
            statistics,
            **statistics.traits(rng),
            space_side="right" if rng.random() < 0.8 else "left",
            poll_s=statistics.poll_s if rng.random() < statistics.polled else 0.0,
        )

    def slowed(self, times: float) -> Self:
        """The same person with `times` the interval."""
        return replace(self, interval_s=self.interval_s * times)

    def before_notice(self, following: Sequence[str], rng: np.random.Generator) -> Sequence[str]:
        """As many characters as the logs' backspaces tell, up to one that takes Shift or the prompt's end."""
        count = int(rng.choice(len(self.statistics.late), p=self.statistics.late))
        stop = next((i for i, character in enumerate(following) if needs_shift(character)), len(following))
        return following[: min(count, stop)]

    def reading_s(self, rng: np.random.Generator) -> float:
        """From Enter's release to the next press."""
        gap_s, hold_s = self._draw(Pair.FROM_ENTER, rng)
        return max(gap_s - hold_s, _LEAST_READING_S)

    def press(
        self, keys: Sequence[str], places: Mapping[str, Place], start_s: float, rng: np.random.Generator
    ) -> list[KeyPress]:
        """Each interval and hold as the logs have them for that kind of pair."""
        pairs = [*(pair_of(places, before, key) for before, key in pairwise(keys)), Pair.FROM_ENTER]
        drawn = [self._draw(pair, rng) for pair in pairs]
        presses_s = start_s + np.cumsum([0.0, *(max(gap_s, _LEAST_GAP_S) for gap_s, _ in drawn[:-1])])
        return [
            KeyPress(key, float(presses_s[i]), _release_s(keys, presses_s.tolist(), i, drawn[i][1]))
            for i, key in enumerate(keys)
        ]

    def logged(self, keys: Sequence[KeyPress], rng: np.random.Generator) -> tuple[KeyPress, ...]:
        """Both ends at the keyboard's next report, stamped by a host that is not quite punctual."""
        if not self.poll_s or not keys:
            return tuple(keys)
        phase_s = rng.uniform(0, self.poll_s)
        times_s = np.array([[key.press_s, key.release_s] for key in keys])
        report = np.ceil((times_s - phase_s) / self.poll_s)
        report[:, 1] = np.maximum(report[:, 1], report[:, 0] + 1)  # a report tells down or up of a key
        stamps_s = phase_s + report * self.poll_s + rng.uniform(0, _STAMP_S, report.shape)
        stamps_s[:, 0] = np.maximum.accumulate(stamps_s[:, 0])  # of one report, in the order of presses
        return tuple(
            KeyPress(key.key, press_s, release_s)
            for key, (press_s, release_s) in zip(keys, stamps_s.tolist(), strict=True)
        )

    def _draw(self, pair: Pair, rng: np.random.Generator) -> tuple[float, float]:
        """Seconds from press to press and of the first key's hold."""
        interval, hold = self.statistics.interval_and_hold(pair, rng)
        return (
            self.interval_s * math.exp(self.interval_spread * interval),
            min(self.hold_s * math.exp(self.hold_spread * hold), _LONGEST_HOLD_S),
        )


def _release_s(keys: Sequence[str], presses_s: Sequence[float], i: int, hold_s: float) -> float:
    release_s = presses_s[i] + hold_s
    if keys[i] in (SHIFT, SHIFT_RIGHT):
        return presses_s[i + 1] + hold_s / 2  # held while the capital is struck
    if keys[i] != ENTER and keys[i] in keys[i + 1 :]:
        again_s = presses_s[keys.index(keys[i], i + 1)]
        return min(release_s, max(again_s - _BETWEEN_KEYS_S, (presses_s[i] + again_s) / 2))
    return release_s
