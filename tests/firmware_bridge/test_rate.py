"""A band that lies about its rate is named with the rate that it has; no link's delay is taken for a lie."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.errors import BandRefused
from firmware_bridge.rate import RateState, check_rate

PER_PACKET = 31


def feed(arrival_s, index):
    """All arrivals of packets that end before these indices."""
    state = RateState()
    for at_s, end in zip(arrival_s.tolist(), index.tolist(), strict=True):
        state = check_rate(state, end, at_s, "the left band")


def packets(seconds, rate_hz=2000.0):
    """When each packet is full, and the index after it."""
    index = np.arange(PER_PACKET, seconds * rate_hz, PER_PACKET, dtype=np.int64)
    return 5.0 + index / rate_hz, index


@pytest.mark.parametrize("rate_hz", [1000, 1900, 1960, 2048, 2500, 4000])
@pytest.mark.parametrize("jitter_s", [0.0, 0.05])
def test_a_lie_is_named_with_the_rate_that_is(rate_hz, jitter_s):
    full_s, index = packets(100, rate_hz)
    late_s = np.random.default_rng(1).uniform(0, jitter_s, len(index))
    with pytest.raises(BandRefused) as refused:
        feed(np.maximum.accumulate(full_s + late_s), index)
    said = re.match(
        r"the left band says that it samples at 2000 Hz, and (\d+) samples a second", str(refused.value)
    )
    assert said is not None
    assert abs(int(said[1]) - rate_hz) <= 0.006 * rate_hz


@settings(max_examples=30, deadline=None)
@given(st.floats(-200, 200), st.floats(0, 0.1), st.integers(0, 2**32))
def test_a_crystal_and_a_radio_are_no_lie(ppm, jitter_s, seed):
    full_s, index = packets(60, 2000 * (1 + ppm * 1e-6))
    late_s = np.random.default_rng(seed).exponential(jitter_s / 3, len(index))
    feed(np.maximum.accumulate(full_s + late_s), index)


@pytest.mark.parametrize("leap_s", [0.5, -120.0])
def test_a_delay_that_changes_once_is_no_lie(leap_s):
    """A transmit queue of half a second fills and stays full; a machine sleeps while its clock stands."""
    full_s, index = packets(90)
    feed(full_s + np.where(full_s > 40, leap_s, 0.0), index)


def test_least_delayed_packets_that_are_neighbours_are_no_lie():
    """On both sides of a window's border, 16 ms apart, 1 ms of delay reads as 6 %."""
    full_s, index = packets(45)
    late_s = np.full(len(index), 0.02)
    border = int(np.flatnonzero(np.diff((index - PER_PACKET) // 20_000))[0])
    late_s[border : border + 2] = 0.001, 0.002
    feed(full_s + late_s, index)
