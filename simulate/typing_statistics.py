"""What real people's keystroke logs say of typing: the shipped figures, and how to draw from them.

Made by benchmarks/calibrate/fit_typing.py from the published labels of emg2qwerty; the logs do not ship.
"""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from statistics import NormalDist
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge.samples import Float64
from simulate.keyboard import Pair

TRAITS: Final = ("interval_s", "interval_spread", "hold_s", "hold_spread", "slip_rate")  # of a person
_WITHIN: Final = 2.0  # standard deviations: 33 people show about as much to each side


class PairTiming(BaseModel):
    """Of one kind of pair: press to press, and how long the first of the two keys is held.

    Quantiles are of the logarithm against the person's median, in units of the person's spread.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int  # that were seen
    interval: tuple[float, ...]  # at `TypingStatistics.levels`
    hold: tuple[float, ...]
    correlation: float  # of the two, as normal deviates


class TypingStatistics(BaseModel):
    """People, pairs of keys, slips and keyboards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    people: int
    sessions: int
    keys: int
    levels: tuple[float, ...]  # of all quantiles
    trait_mean: tuple[float, ...]  # of the logarithms of TRAITS over people
    trait_covariance: tuple[tuple[float, ...], ...]
    timings: dict[Pair, PairTiming]
    late: tuple[float, ...]  # share of slips seen after 0, 1, 2... further letters
    poll_s: float  # grid that most keyboards' reports lie on
    polled: float  # share of people with such a keyboard

    @cached_property
    def deviates(self) -> Float64:
        """The levels as normal deviates."""
        return np.array([NormalDist().inv_cdf(level) for level in self.levels])

    def traits(self, rng: np.random.Generator) -> dict[str, float]:
        """One person's TRAITS."""
        root = np.linalg.cholesky(np.array(self.trait_covariance))
        deviates = np.clip(rng.standard_normal(len(TRAITS)), -_WITHIN, _WITHIN)
        return dict(zip(TRAITS, map(float, np.exp(self.trait_mean + root @ deviates)), strict=True))

    def interval_and_hold(self, pair: Pair, rng: np.random.Generator) -> tuple[float, float]:
        """One draw for `pair`: logarithms against a person's medians, in units of the person's spreads."""
        timing = self.timings[pair]
        interval, other = rng.standard_normal(2)
        hold = timing.correlation * interval + np.sqrt(1 - timing.correlation**2) * other
        return (
            float(np.interp(interval, self.deviates, timing.interval)),
            float(np.interp(hold, self.deviates, timing.hold)),
        )


def shipped() -> TypingStatistics:
    """The statistics that ship."""
    return TypingStatistics.model_validate_json((resources.files("simulate") / "typing.json").read_bytes())
