"""The shipped statistics: well-formed, drawn as they say, and those of the real logs."""

import csv
import gzip
from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.samples import SIDES
from simulate.keyboard import Pair, base_key, layout, pair_of
from simulate.typing_statistics import TRAITS, shipped

LOGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "typing"
STATISTICS = shipped()
CORRECTIONS = (
    Pair.TO_BACKSPACE,
    Pair.BACKSPACES,
    Pair.FROM_BACKSPACE,
)  # some correct twice as much as others


@cache
def logs():
    """Presses (key, down, hold) of each session by person."""
    if not LOGS.exists():
        pytest.skip("real keystroke logs are not here (CC BY-NC-SA: they do not ship)")
    found = defaultdict(lambda: defaultdict(list))
    for path in sorted(LOGS.glob("*_keystrokes.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                press = (float(row["onset"]), float(row["duration"]), row["key"])
                found[row["sub"]][row["ses"]].append(press)
    return {person: [sorted(keys) for keys in sessions.values()] for person, sessions in found.items()}


def test_what_ships_is_well_formed():
    levels = STATISTICS.levels
    assert all(0 < a < b < 1 for a, b in pairwise(levels))
    assert set(STATISTICS.timings) == set(Pair)
    for timing in STATISTICS.timings.values():
        for quantiles in (timing.interval, timing.hold):
            assert len(quantiles) == len(levels) and all(a <= b for a, b in pairwise(quantiles))
        assert timing.pairs > 10_000 and -1 < timing.correlation < 1
    assert sum(STATISTICS.late) == pytest.approx(1, abs=1e-9) and min(STATISTICS.late) >= 0
    covariance = np.array(STATISTICS.trait_covariance)
    assert np.array_equal(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0
    assert len(STATISTICS.trait_mean) == len(covariance) == len(TRAITS)


@pytest.mark.parametrize("pair", Pair)
def test_draws_have_the_shipped_quantiles(pair):
    rng = np.random.default_rng(1)
    timing = STATISTICS.timings[pair]
    drawn = np.array([STATISTICS.interval_and_hold(pair, rng) for _ in range(4000)])
    for column, quantiles in zip(drawn.T, (timing.interval, timing.hold), strict=True):
        below = [
            np.mean(column <= np.interp(level, STATISTICS.levels, quantiles)) for level in (0.1, 0.5, 0.9)
        ]
        assert below == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    ranks = drawn.argsort(0).argsort(0)
    assert np.corrcoef(ranks.T)[0, 1] == pytest.approx(timing.correlation, abs=0.06)


@given(seed=st.integers(0, 2**63))
def test_nobody_is_further_from_the_mean_than_the_people_of_the_logs(seed):
    traits = STATISTICS.traits(np.random.default_rng(seed))
    assert 0.08 < traits["interval_s"] < 0.26 and 0.07 < traits["hold_s"] < 0.15
    assert 0.005 < traits["slip_rate"] < 0.12


def test_people_differ_as_the_statistics_say():
    rng = np.random.default_rng(2)
    drawn = np.log([list(STATISTICS.traits(rng).values()) for _ in range(3000)])
    spread = np.sqrt(np.diag(STATISTICS.trait_covariance))
    assert drawn.mean(0) == pytest.approx(STATISTICS.trait_mean, abs=0.03)
    assert drawn.std(0) / spread == pytest.approx(
        np.full(len(TRAITS), 0.96), abs=0.04
    )  # clipped at two: 0.96


@pytest.mark.slow
def test_the_shipped_figures_are_those_of_the_logs():
    # Counted here anew, without the fitting script: medians over all people, not normalised by person.
    places = layout(SIDES, "right")
    intervals_s, holds_s = defaultdict(list), defaultdict(list)
    for sessions in logs().values():
        for keys in sessions:
            for (press_s, hold_s, before), (next_s, _, key) in pairwise(keys):
                if base_key(before) in places and base_key(key) in places:
                    intervals_s[pair_of(places, before, key)].append(next_s - press_s)
                    holds_s[pair_of(places, before, key)].append(hold_s)
    assert len(logs()) == STATISTICS.people == 33
    typical = dict(zip(TRAITS, np.exp(STATISTICS.trait_mean), strict=True))
    middle = STATISTICS.levels.index(0.5)
    for pair in set(Pair) - {Pair.TO_ENTER, Pair.FROM_ENTER, *CORRECTIONS}:
        timing = STATISTICS.timings[pair]
        assert timing.pairs == pytest.approx(len(intervals_s[pair]), rel=0.01)
        for name, values, quantiles in (
            ("interval", intervals_s[pair], timing.interval),
            ("hold", holds_s[pair], timing.hold),
        ):
            said_s = typical[f"{name}_s"] * np.exp(typical[f"{name}_spread"] * quantiles[middle])
            assert said_s == pytest.approx(np.median(values), abs=0.012), (pair, name)
