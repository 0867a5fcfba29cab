"""Typing behaviour: when each key goes down and up, and which slips are made and corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from edge.charset import BACKSPACE, ENTER, SHIFT, SPACE
from edge.samples import Float64, KeyPress, Prompt, Side
from simulate.keyboard import SHIFT_RIGHT, Place, base_key, layout, needs_shift, neighbours

LEAD_IN_S: Final = 2.0  # rest before the first prompt, so that filters and running statistics settle
LEAD_OUT_S: Final = 1.5  # rest after the last key
_READING_S: Final = (0.5, 1.6)  # between prompts: from Enter to the next first key
_NOTICED: Final = 0.85  # of slips are erased; what stays gives the 0.4 % CER of real typed text
_ONE_MORE: Final = 0.3  # of noticed slips are noticed one letter late
_SHORTEST_GAP_S: Final = 0.045  # between any two presses: the 1st percentile of real typing
_FINGER_GAP_S: Final = 0.015  # a finger is off its last key before it strikes the next
_ONE_HANDED: Final = 1.7  # one hand takes longer: about 35 instead of 60 words a minute


@dataclass(frozen=True)
class Habits:
    """How one person types. Ranges are those of 33 people's real logs (emg2qwerty's labels)."""

    interval_s: float  # median between presses; real users 0.11-0.23
    interval_spread: float  # of its logarithm, context apart
    hold_s: float  # median key down to key up; the seed paper's user 0.105-0.134
    hold_spread: float  # of its logarithm
    slip_rate: float  # of letters; leads to 2-6 % backspaces
    space_side: Side  # the thumb that strikes Space

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Habits:
        """One person's habits."""
        return cls(
            interval_s=float(rng.uniform(0.155, 0.185)),
            interval_spread=float(rng.uniform(0.30, 0.40)),
            hold_s=float(rng.uniform(0.112, 0.132)),
            hold_spread=float(rng.uniform(0.22, 0.32)),
            slip_rate=float(np.clip(0.03 * rng.lognormal(0, 0.35), 0.015, 0.05)),
            space_side="right" if rng.random() < 0.8 else "left",
        )


class Typed(NamedTuple):
    """What a typing session leaves: seconds from its start."""

    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]
    end_s: float


@dataclass(frozen=True)
class Typist:
    """Someone typing prompts on a keyboard with one or two hands."""

    habits: Habits
    places: dict[str, Place]

    @classmethod
    def of(cls, habits: Habits, sides: tuple[Side, ...]) -> Typist:
        """The typist with these hands; one hand types every key, and slower."""
        if len(sides) == 1:
            habits = replace(habits, interval_s=habits.interval_s * _ONE_HANDED)
        return cls(habits, layout(sides, habits.space_side))

    def type(self, prompts: Iterable[str], rng: np.random.Generator, limit_s: float = math.inf) -> Typed:
        """Type `prompts` one after the other, each ended by Enter, whole ones only, within `limit_s`."""
        keys: list[KeyPress] = []
        shown: list[Prompt] = []
        now_s = LEAD_IN_S
        for text in prompts:
            typed = self._press(self.spell(text, rng), now_s, rng)
            end_s = max(key.release_s for key in typed)
            if end_s + LEAD_OUT_S > limit_s:
                break
            shown.append(Prompt(text, now_s - 0.4, end_s))
            keys += typed
            now_s = end_s + rng.uniform(*_READING_S)
        last_s = shown[-1].end_s if shown else LEAD_IN_S
        return Typed(tuple(keys), tuple(shown), last_s + LEAD_OUT_S)

    def can_type(self, character: str) -> bool:
        """Whether there is a key for `character`."""
        return base_key(character) in self.places

    def spell(self, text: str, rng: np.random.Generator) -> list[str]:
        """The keys that `text` and Enter take, slips and their corrections included."""
        keys: list[str] = []
        letters = [*text]
        position = 0
        while position < len(letters):
            letter = letters[position]
            if letter.isalpha() and letter.islower() and rng.random() < self.habits.slip_rate:
                keys.append(str(rng.choice(neighbours(self.places, letter))))
                if rng.random() < _NOTICED:
                    following = letters[position + 1 : position + 2] if rng.random() < _ONE_MORE else []
                    late = [key for key in following if key.islower()]
                    keys += [*late, *[BACKSPACE] * (1 + len(late)), letter]
            else:
                keys += self._strokes(letter)
            position += 1
        return [*keys, ENTER]

    def _strokes(self, character: str) -> list[str]:
        if character == " ":
            return [SPACE]
        if needs_shift(character):
            opposite = SHIFT_RIGHT if self.places[base_key(character)].side == "left" else SHIFT
            return [opposite, character]
        return [character]

    def _press(self, keys: list[str], start_s: float, rng: np.random.Generator) -> list[KeyPress]:
        """Give each of `keys` its time down and up."""
        habits = self.habits
        gaps_s = [
            max(
                self._quickest_s(before, key),
                habits.interval_s * self._pace(before, key, rng) * rng.lognormal(0, habits.interval_spread),
            )
            for before, key in pairwise(keys)
        ]
        presses_s = start_s + np.concatenate([[0.0], np.cumsum(gaps_s)])
        holds_s = habits.hold_s * rng.lognormal(0, habits.hold_spread, len(keys))
        releases_s = [self._release_s(keys, presses_s, i, hold_s) for i, hold_s in enumerate(holds_s)]
        return [
            KeyPress(key, float(press_s), float(release_s))
            for key, press_s, release_s in zip(keys, presses_s, releases_s, strict=True)
        ]

    def _same_finger(self, before: str, key: str) -> bool:
        a, b = self.places[base_key(before)], self.places[base_key(key)]
        return (a.side, a.finger) == (b.side, b.finger)

    def _quickest_s(self, before: str, key: str) -> float:
        return 2 * _SHORTEST_GAP_S if self._same_finger(before, key) else _SHORTEST_GAP_S

    def _pace(self, before: str, key: str, rng: np.random.Generator) -> float:
        """The interval between two keys, of the median: hands alternate quickly, one finger slowly."""
        pace = 1.0
        if before == key:
            pace = 0.92
        elif self._same_finger(before, key):
            pace = 1.35
        elif self.places[base_key(before)].side != self.places[base_key(key)].side:
            pace = 0.85
        if key == BACKSPACE != before:
            pace *= 2.0  # the slip is seen first
        if before == SPACE and rng.random() < 0.1:
            pace *= rng.uniform(2.0, 5.0)  # looks at the prompt
        return pace

    def _release_s(self, keys: list[str], presses_s: Float64, i: int, hold_s: float) -> float:
        release_s = float(presses_s[i] + hold_s)
        if keys[i] in (SHIFT, SHIFT_RIGHT):
            return float(presses_s[i + 1] + hold_s / 2)  # held while the capital is struck
        for j in range(i + 1, min(i + 4, len(keys))):
            if self._same_finger(keys[i], keys[j]):
                return min(release_s, float(presses_s[j]) - _FINGER_GAP_S)
        return release_s
