"""Motor control: which muscles a key asks for, and how a row of presses becomes a drive over time.

A press has three phases: prepare (the finger is lifted and aimed), strike (it goes down) and release.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge.samples import Float64, KeyPress
from simulate.anatomy import EXTENSORS, FLEXORS, MUSCLES
from simulate.difficulty import Difficulty
from simulate.keyboard import THUMB, Place, base_key

GRID_HZ: Final = 250  # drive samples a second: muscle commands have no content above some 10 Hz
PHASES: Final = 3

_BEFORE_PRESS_S: Final = (0.115, 0.035)  # prepare and strike peak this long before the key's contact
_BEFORE_RELEASE_S: Final = 0.005
_WIDTH_S: Final = (0.045, 0.030, 0.040)  # each phase's rise; its fall is a quarter quicker
_FALL: Final = 0.75
_REACH: Final = 4  # widths that a phase is computed over
_SATURATION: Final = 0.75  # drive = 1 - exp(-0.75 effort)

_INDEX: Final = {muscle.name: i for i, muscle in enumerate(MUSCLES)}


@dataclass(frozen=True)
class Stroke:
    """How one hand strikes one key."""

    effort: Float64  # (3, M) effort of each muscle in each phase
    shift_s: Float64  # (3,) this user's timing of the phases


@dataclass(frozen=True)
class Hand:
    """One hand's motor habits."""

    strokes: dict[str, Stroke]
    width_s: Float64  # (3,)
    resting: Float64  # (M,) resting drive
    difficulty: Difficulty

    @classmethod
    def learn(cls, places: dict[str, Place], difficulty: Difficulty, rng: np.random.Generator) -> Hand:
        """A person's way with the keys in `places`, those of this hand."""
        enslaving = np.clip(rng.normal(difficulty.crosstalk, 0.08, (5, 5)), 0, 0.6)
        wrist = rng.normal(1, 0.2, 6)
        strokes = {
            key: Stroke(
                _personal(_textbook(place, enslaving[place.finger], wrist), difficulty, rng),
                rng.normal(0, 0.008, PHASES),
            )
            for key, place in places.items()
        }
        return cls(
            strokes,
            np.array(_WIDTH_S) * rng.lognormal(0, 0.12, PHASES),
            difficulty.tonic * rng.lognormal(0, 0.5, len(MUSCLES)),
            difficulty,
        )

    def strikes(self, key: KeyPress) -> bool:
        """Whether `key` is this hand's."""
        return base_key(key.key) in self.strokes

    def drive(self, keys: Iterable[KeyPress], duration_s: float, rng: np.random.Generator) -> Float64:
        """The muscles' drive (G, M), 0 to 1, on the GRID_HZ grid; keys of the other hand are passed over."""
        count = round(duration_s * GRID_HZ) + 1
        effort = self._rest(count, rng)
        today = rng.lognormal(0, 0.12, (PHASES, len(MUSCLES)))  # nobody types the same from day to day
        for key in keys:
            stroke = self.strokes.get(base_key(key.key))
            if stroke is not None:
                self._add_press(effort, key, stroke, today, rng)
        return np.asarray(1 - np.exp(-_SATURATION * effort))

    def _add_press(
        self, effort: Float64, key: KeyPress, stroke: Stroke, today: Float64, rng: np.random.Generator
    ) -> None:
        varied = self.difficulty
        strength = rng.lognormal(0, varied.press_spread) * rng.lognormal(0, varied.muscle_spread, today.shape)
        peaks_s = np.array(
            [
                key.press_s - _BEFORE_PRESS_S[0],
                key.press_s - _BEFORE_PRESS_S[1],
                key.release_s - _BEFORE_RELEASE_S,
            ]
        )
        peaks_s += stroke.shift_s + rng.normal(0, varied.timing_jitter_s, PHASES)
        parts = stroke.effort * today * strength
        for peak_s, width_s, part in zip(peaks_s, self.width_s, parts, strict=True):
            first = max(0, int((peak_s - _REACH * width_s) * GRID_HZ))
            until = min(len(effort), int((peak_s + _REACH * width_s) * GRID_HZ) + 1)
            if first < until:
                offset = (np.arange(first, until) / GRID_HZ - peak_s) / width_s
                bump = np.exp(-0.5 * np.where(offset > 0, offset / _FALL, offset) ** 2)
                effort[first:until] += bump[:, None] * part

    def _rest(self, count: int, rng: np.random.Generator) -> Float64:
        """Resting effort (G, M): a level for each muscle that wanders over seconds."""
        knots = rng.normal(0, 1, (count // GRID_HZ + 2, len(MUSCLES)))
        at = np.arange(count) / GRID_HZ
        wander = np.stack([np.interp(at, np.arange(len(knots)), column) for column in knots.T], axis=1)
        return np.asarray(self.resting * np.maximum(1 + 0.7 * wander, 0.1))


def _textbook(place: Place, enslaving: Float64, wrist: Float64) -> Float64:
    """The effort (3, M) that the anatomy books give for striking a key at `place`.

    enslaving: (5,) how much each other finger joins in; wrist: (6,) this user's use of the wrist's muscles.
    """
    effort = np.zeros((PHASES, len(MUSCLES)))
    prepare, strike, release = effort
    _add(strike, FLEXORS[place.finger], 1.0)
    _add(prepare, EXTENSORS[place.finger], 0.6)
    _add(release, EXTENSORS[place.finger], 0.55)
    if place.finger != THUMB:
        for other in {place.finger - 1, place.finger + 1} & {1, 2, 3, 4}:
            _add(strike, FLEXORS[other], 0.7 * enslaving[other])
            _add(prepare, EXTENSORS[other], 0.5 * enslaving[other])
            _add(release, EXTENSORS[other], 0.4 * enslaving[other])
    up, down = 0.5 * max(place.row, 0), 0.6 * max(-place.row, 0)
    _add(prepare, EXTENSORS[place.finger], 0.8 * up)
    _add(prepare, ("ECR",), 0.5 * up * wrist[0])
    _add(strike, ("ECR",), 0.4 * up * wrist[1])
    _add(strike, ("FCR",), 0.5 * down * wrist[2])
    _add(strike, ("FDP2" if place.finger <= 1 else "FDP345",), 0.7 * down)
    _add(strike, ("PL",), 0.4 * down)
    if place.finger == 1 and place.reach:  # towards the thumb
        _add(strike, ("APL",), 0.35 * wrist[3])
        _add(strike, ("FCR",), 0.35 * place.reach)
        _add(prepare, ("EIP",), 0.3 * place.reach)
    elif place.reach:  # towards the little finger
        _add(strike, ("ECU",), 0.4 * place.reach * wrist[4])
        _add(strike, ("FCU",), 0.35 * place.reach * wrist[5])
        _add(prepare, ("EDM",), 0.2 * place.reach)
    return effort


def _add(phase: Float64, muscles: tuple[str, ...], effort: float) -> None:
    phase[[_INDEX[name] for name in muscles]] += effort


def _personal(effort: Float64, difficulty: Difficulty, rng: np.random.Generator) -> Float64:
    """The same effort as this user makes it: muscles weighted, a few others joining in, harder or softer."""
    weighted = effort * rng.lognormal(0, difficulty.key_style, effort.shape)
    joining = (rng.random(effort.shape) < 0.12) * rng.exponential(0.25, effort.shape)
    return np.asarray((weighted + joining) * rng.lognormal(0, 0.15))
