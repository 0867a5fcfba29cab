"""The fitted clock follows the band's crystal through jitter and stalls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.clock import BandClock, ClockState

CLOCK = BandClock()
PER_PACKET = 20


def arrivals(seconds: float, ppm: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and arrivals over a 15 ms connection interval, 1 % of packets stalled by 80 ms on average."""
    rng = np.random.default_rng(seed)
    index = np.arange(PER_PACKET, seconds * 2000, PER_PACKET)
    true_s = 5.0 + index / 2000 * (1 + ppm * 1e-6)
    late_s = rng.uniform(0, 0.015, len(index)) + rng.exponential(0.002, len(index))
    late_s += (rng.random(len(index)) < 0.01) * rng.exponential(0.08, len(index))
    return index, np.maximum.accumulate(true_s + late_s)


def run(index: np.ndarray, arrival_s: np.ndarray) -> ClockState:
    state = ClockState()
    for i, at_s in zip(index.tolist(), arrival_s.tolist(), strict=True):
        state = CLOCK.step(state, i, at_s)
    return state


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_error_after_a_minute_is_below_a_millisecond_and_a_half(seed, ppm):
    index, arrival_s = arrivals(60, ppm, seed)
    state = run(index, arrival_s)
    true_s = 5.0 + index[-1] / 2000 * (1 + ppm * 1e-6)
    assert -0.5e-3 < CLOCK.host_s(state, index[-1]) - true_s < 1.5e-3
    assert abs(state.line.skew * 1e6 - ppm) < 50


@given(st.floats(-1e9, 1e9), st.integers(1, 40), st.integers(1, 255))
@settings(max_examples=20, deadline=None)
def test_without_jitter_the_fit_is_exact(start_s, seconds, per_packet):
    index = np.arange(per_packet, seconds * 2000 + 2000, per_packet)
    state = run(index, start_s + index / 2000)
    assert CLOCK.host_s(state, 0) == pytest.approx(start_s, abs=1e-6)
    assert CLOCK.host_s(state, index[-1]) == pytest.approx(start_s + index[-1] / 2000, abs=1e-6)


def test_a_stalled_second_moves_nothing():
    index, _ = arrivals(30, 0, 0)
    arrival_s = index / 2000
    stalled = (index > 20_000) & (index <= 22_000)
    state = run(index, arrival_s + np.where(stalled, 0.3, 0.0))
    assert CLOCK.host_s(state, 60_000) == pytest.approx(30.0, abs=1e-9)


def test_it_settles_after_a_second():
    index, arrival_s = arrivals(1.5, 0, 0)
    first = index <= 1980
    assert not run(index[first], arrival_s[first]).settled
    assert run(index, arrival_s).settled
