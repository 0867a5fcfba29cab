"""Typing behaviour: when each key goes down and up, and which slips are made and corrected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple, Protocol, Self

import numpy as np

from edge.charset import BACKSPACE, ENTER, SHIFT, SPACE
from edge.samples import Float64, KeyPress, Prompt, Side
from simulate.keyboard import (
    SHIFT_RIGHT,
    Place,
    base_key,
    layout,
    needs_shift,
    neighbours,
    same_finger,
)

LEAD_IN_S: Final = 2.0  # rest before the first prompt, so that filters and running statistics settle
LEAD_OUT_S: Final = 1.5  # rest after the last key
_READING_S: Final = (0.5, 1.6)  # between prompts: from Enter to the next first key
NOTICED: Final = 0.85  # of slips are erased; what stays gives the 0.4 % CER of real typed text
_ONE_MORE: Final = 0.3  # of noticed slips are noticed one letter late
_SHORTEST_GAP_S: Final = 0.045  # between any two presses: the 1st percentile of real typing
_FINGER_GAP_S: Final = 0.015  # a finger is off its last key before it strikes the next
_ONE_HANDED: Final = 1.7  # one hand takes longer: about 35 instead of 60 words a minute


class Manner(Protocol):
    """How one person types: what the typist asks while the keys are spelled out and pressed."""

    @property
    def slip_rate(self) -> float:
        """Share of letters that are struck wrong."""

    @property
    def space_side(self) -> Side:
        """The thumb that strikes Space."""

    def slowed(self, times: float) -> Self:
        """The same person taking `times` as long from press to press."""

    def before_notice(self, following: Sequence[str], rng: np.random.Generator) -> Sequence[str]:
        """Which of the characters `following` a slip are typed before it is seen."""

    def reading_s(self, rng: np.random.Generator) -> float:
        """From the release of Enter to the next prompt's first press."""

    def press(
        self, keys: Sequence[str], places: Mapping[str, Place], start_s: float, rng: np.random.Generator
    ) -> list[KeyPress]:
        """Give each of `keys` its time down and up, the first one down at `start_s`."""

    def logged(self, keys: Sequence[KeyPress], rng: np.random.Generator) -> tuple[KeyPress, ...]:
        """`keys` as this person's keyboard reports them."""


@dataclass(frozen=True)
class Habits:
    """A manner by rules of thumb. Ranges are those of 33 people's real logs (emg2qwerty's labels)."""

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

    def slowed(self, times: float) -> Self:
        """The same person with `times` the interval."""
        return replace(self, interval_s=self.interval_s * times)

    def before_notice(self, following: Sequence[str], rng: np.random.Generator) -> Sequence[str]:
        """None, or the next letter."""
        late = following[:1] if rng.random() < _ONE_MORE else []
        return [key for key in late if key.islower()]

    def reading_s(self, rng: np.random.Generator) -> float:
        """Any time in a range."""
        return float(rng.uniform(*_READING_S))

    def press(
        self, keys: Sequence[str], places: Mapping[str, Place], start_s: float, rng: np.random.Generator
    ) -> list[KeyPress]:
        """Intervals and holds are log-normal, the intervals of a pace that the pair of keys sets."""
        gaps_s = [
            max(
                _quickest_s(places, before, key),
                self.interval_s * _pace(places, before, key, rng) * rng.lognormal(0, self.interval_spread),
            )
            for before, key in pairwise(keys)
        ]
        presses_s = start_s + np.concatenate([[0.0], np.cumsum(gaps_s)])
        holds_s = self.hold_s * rng.lognormal(0, self.hold_spread, len(keys))
        releases_s = [_release_s(places, keys, presses_s, i, hold_s) for i, hold_s in enumerate(holds_s)]
        return [
            KeyPress(key, float(press_s), float(release_s))
            for key, press_s, release_s in zip(keys, presses_s, releases_s, strict=True)
        ]

    def logged(self, keys: Sequence[KeyPress], rng: np.random.Generator) -> tuple[KeyPress, ...]:
        """To the moment."""
        return tuple(keys)


class Typed(NamedTuple):
    """What a typing session leaves: seconds from its start."""

    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]
    end_s: float


@dataclass(frozen=True)
class Typist:
    """Someone typing prompts on a keyboard with one or two hands."""

    manner: Manner
    places: dict[str, Place]

    @classmethod
    def of(cls, manner: Manner, sides: tuple[Side, ...]) -> Typist:
        """The typist with these hands; one hand types every key, and slower."""
        if len(sides) == 1:
            manner = manner.slowed(_ONE_HANDED)
        return cls(manner, layout(sides, manner.space_side))

    def type(self, prompts: Iterable[str], rng: np.random.Generator, limit_s: float = math.inf) -> Typed:
        """Type `prompts` one after the other, each ended by Enter, whole ones only, within `limit_s`."""
        keys: list[KeyPress] = []
        shown: list[Prompt] = []
        now_s = LEAD_IN_S
        for text in prompts:
            typed = self.manner.press(self.spell(text, rng), self.places, now_s, rng)
            end_s = max(key.release_s for key in typed)
            if end_s + LEAD_OUT_S > limit_s:
                break
            shown.append(Prompt(text, now_s - 0.4, end_s))
            keys += typed
            now_s = end_s + self.manner.reading_s(rng)
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
            if letter.isalpha() and letter.islower() and rng.random() < self.manner.slip_rate:
                keys.append(str(rng.choice(neighbours(self.places, letter))))
                if rng.random() < NOTICED:
                    late = self.manner.before_notice(letters[position + 1 :], rng)
                    keys += [SPACE if key == " " else key for key in late]
                    keys += [*[BACKSPACE] * (1 + len(late)), letter]
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


def _quickest_s(places: Mapping[str, Place], before: str, key: str) -> float:
    return 2 * _SHORTEST_GAP_S if same_finger(places, before, key) else _SHORTEST_GAP_S


def _pace(places: Mapping[str, Place], before: str, key: str, rng: np.random.Generator) -> float:
    """The interval between two keys, of the median: hands alternate quickly, one finger slowly."""
    pace = 1.0
    if before == key:
        pace = 0.92
    elif same_finger(places, before, key):
        pace = 1.35
    elif places[base_key(before)].side != places[base_key(key)].side:
        pace = 0.85
    if key == BACKSPACE != before:
        pace *= 2.0  # the slip is seen first
    if before == SPACE and rng.random() < 0.1:
        pace *= rng.uniform(2.0, 5.0)  # looks at the prompt
    return pace


def _release_s(
    places: Mapping[str, Place], keys: Sequence[str], presses_s: Float64, i: int, hold_s: float
) -> float:
    release_s = float(presses_s[i] + hold_s)
    if keys[i] in (SHIFT, SHIFT_RIGHT):
        return float(presses_s[i + 1] + hold_s / 2)  # held while the capital is struck
    for j in range(i + 1, min(i + 4, len(keys))):
        if same_finger(places, keys[i], keys[j]):
            return min(release_s, float(presses_s[j]) - _FINGER_GAP_S)
    return release_s
