"""Pings leave shortly before a connection event, spread over the margin, often at first."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.pings import next_ping_s

intervals = st.integers(6, 80).map(lambda units: units * 1.25e-3)  # 7.5 to 100 ms


@given(st.floats(0, 1e6), st.integers(0, 1000), st.one_of(st.just(0.0), intervals))
def test_a_ping_is_never_early_nor_late_for_long(answered_s, pings, interval_s):
    after_s = next_ping_s(answered_s, pings, interval_s) - answered_s
    least_s = 0.06 if pings < 12 else 0.25
    assert least_s - 1e-6 <= after_s <= least_s + max(interval_s, 0.05) + 1e-6


@given(intervals, st.integers(0, 1000))
def test_it_leaves_at_most_12_ms_before_an_event(interval_s, pings):
    after_s = next_ping_s(0.0, pings, interval_s)
    waits_s = math.ceil(after_s / interval_s - 1e-9) * interval_s - after_s
    assert waits_s <= 0.012 + 1e-9


@pytest.mark.parametrize("interval_s", [0.0075, 0.015, 0.03, 0.05])
@pytest.mark.parametrize("handed_over_s", [0.0, 0.002, 0.005])
def test_the_least_wait_of_a_few_is_short_however_slow_this_machine_is(interval_s, handed_over_s):
    """Ten pings, each `handed_over_s` late at the radio: one leaves less than 2.5 ms before an event."""
    sent_s = [next_ping_s(0.0, pings, interval_s) + handed_over_s for pings in range(10)]
    waits_s = [math.ceil(at_s / interval_s - 1e-9) * interval_s - at_s for at_s in sent_s]
    assert min(waits_s) < 0.0025


def test_pings_of_an_unknown_interval_are_in_step_with_none():
    """A fixed time after each answer would be the same wait for ever."""
    for interval_s in (0.0075, 0.015, 0.03, 0.05):
        waits_s = [-next_ping_s(0.0, pings, 0.0) % interval_s for pings in range(12)]
        assert min(waits_s) < interval_s / 5
