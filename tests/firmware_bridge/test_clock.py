"""The fitted clock follows the band's crystal through jitter, stalls and breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.clock import BandClock, ClockState
from firmware_bridge.packet import Codec
from firmware_bridge.packetizer import packet_samples
from tests.firmware_bridge.arrivals import Crystal, Traffic, errors_ms, events, traffic, uniform

CLOCK = BandClock()
NONE = np.zeros(0)


def run(index: np.ndarray, arrival_s: np.ndarray, state: ClockState | None = None) -> ClockState:
    state = state or ClockState()
    for i, at_s in zip(index.tolist(), arrival_s.tolist(), strict=True):
        state = CLOCK.step(state, i, at_s)
    return state


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 100), st.sampled_from([0.0075, 0.015, 0.03]))
def test_after_a_minute_a_moment_is_known_to_a_millisecond_and_a_half(seed, ppm, interval_s):
    made = traffic(60, events(interval_s), Crystal(ppm), np.random.default_rng(seed), tightest=3)
    error_ms, state = errors_ms(CLOCK, made, np.array([58.9]))
    assert abs(error_ms[0]) < 1.5
    assert abs(state.strip.skew * 1e6 - ppm) < 50


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 100))
def test_no_bound_is_beyond_the_truth(seed, ppm):
    """What the fit rests on, of packets, pings and the samples' width."""
    crystal = Crystal(ppm)
    made = traffic(5, uniform(0.05), crystal, np.random.default_rng(seed), samples=(7, 31))
    _, state = errors_ms(CLOCK, made, NONE)
    for bound in state.latest.all:
        assert bound.offset_s >= float(crystal.host_s(bound.device_s)) - bound.device_s - 1e-9
    for bound in state.earliest.all:
        assert -bound.offset_s <= float(crystal.host_s(bound.device_s)) - bound.device_s + 1e-9
    assert len(state.earliest.all) >= 4


@given(st.floats(-1e9, 1e9), st.integers(1, 20), st.integers(20, 255))
@settings(max_examples=20, deadline=None)
def test_without_jitter_the_fit_is_exact(start_s, seconds, per_packet):
    index = np.arange(per_packet, seconds * 2000 + 2000, per_packet)
    state = run(index, start_s + index / 2000)
    assert CLOCK.host_s(state, 0) == pytest.approx(start_s, abs=1e-6)
    assert CLOCK.host_s(state, index[-1]) == pytest.approx(start_s + index[-1] / 2000, abs=1e-6)


def test_a_stalled_second_moves_nothing():
    index = np.arange(20, 60_000, 20)
    stalled = (index > 20_000) & (index <= 22_000)
    state = run(index, index / 2000 + np.where(stalled, 0.3, 0.0))
    assert CLOCK.host_s(state, 60_000) == pytest.approx(30.0, abs=1e-6)


@given(st.floats(0.001, 0.05), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_a_ping_halves_what_cannot_be_seen_from_here(delay_s, share):
    """Packets are late by `delay_s`, pings by a share of it: the clock by half of what differs."""
    up_s, down_s = delay_s, delay_s * share
    index = np.arange(20, 8000, 20)
    alone = run(index, index / 2000 + up_s)
    state = ClockState()
    for i in index.tolist():
        if i % 400 == 0:
            sample = i - 1  # it is over when the ping is handled
            state = CLOCK.ping(state, sample, i / 2000 - down_s, i / 2000 + up_s)
        state = CLOCK.step(state, i, i / 2000 + up_s)
    assert CLOCK.host_s(alone, 8000) - 4.0 == pytest.approx(up_s, abs=1e-6)
    assert CLOCK.host_s(state, 8000) - 4.0 == pytest.approx((up_s - down_s) / 2, abs=1e-6)
    assert state.strip.width_s == pytest.approx(up_s + down_s, abs=1e-6)


def test_a_ping_alone_says_when_a_sample_was_taken():
    state = CLOCK.ping(ClockState(), 4000, 12.000, 12.020)
    assert state.known
    assert not state.settled
    assert CLOCK.host_s(state, 4000) == pytest.approx(12.010, abs=0.5e-3)


def test_an_answer_that_comes_late_changes_nothing_but_what_it_bounds():
    index = np.arange(20, 8020, 20)
    state = run(index, index / 2000 + 0.01)
    after = CLOCK.ping(state, 7000, 3.4, 4.02)
    assert after.latest == state.latest
    assert after.strip.high_s == state.strip.high_s


@pytest.mark.parametrize("gap_s", [30.0, 400.0])
def test_a_break_in_the_same_boot_goes_on_in_the_same_line(gap_s):
    """At 80 ppm: without the skew it would be off by 2.4 and 32 ms."""
    made = traffic(120, uniform(0.02), Crystal(80.0), np.random.default_rng(0), tightest=3, ping_s=None)
    _, state = errors_ms(CLOCK, made, NONE)
    device_s = 120 + gap_s
    resumed = CLOCK.step(state, int(device_s * 2000), float(Crystal(80.0).host_s(device_s)) + 0.015)
    error_s = CLOCK.host_s(resumed, device_s * 2000) - Crystal(80.0).host_s(device_s)
    assert abs(error_s) < 1e-3
    later = traffic(4, uniform(0.02), Crystal(80.0), np.random.default_rng(1), tightest=3, ping_s=None)
    index = later.index + int(device_s * 2000)
    arrival_s = later.arrival_s + (Crystal(80.0).host_s(device_s) - Crystal(80.0).host_s(0.0))
    end = run(index, arrival_s, resumed)
    assert abs(end.strip.skew - 80e-6) < 15e-6


def test_the_lower_line_outlasts_pings_that_stop():
    index = np.arange(20, 1_400_000, 500)
    state = CLOCK.ping(ClockState(), 100, 0.045, 0.055)
    state = run(index, index / 2000 + 0.005, state)
    assert CLOCK.host_s(state, 0) == pytest.approx(0.0, abs=0.5e-3)
    assert math.isfinite(state.strip.low_s)


def in_step_ms(samples: int, interval_s: float, ppm: float, phase_s: float) -> np.ndarray:
    """A minute of packets of `samples`, each sent at the first connection event after its last sample."""
    index = np.arange(samples, 120_000, samples)
    taken_s = Crystal(ppm).host_s(index / 2000)
    arrival_s = phase_s + np.ceil((taken_s - phase_s) / interval_s) * interval_s
    made = Traffic(Crystal(ppm), index, arrival_s, NONE, NONE, NONE)
    return errors_ms(CLOCK, made, np.arange(1.5, 59.0, 0.5))[0]


@pytest.mark.parametrize("interval_s", [0.0075, 0.015, 0.03, 0.05])
@settings(max_examples=2, deadline=None)
@given(phases=st.tuples(st.floats(0, 1), st.floats(0, 1)), ppm=st.floats(-20, 20))
def test_bands_agree_to_a_millisecond_and_a_half_in_the_first_minute(interval_s, phases, ppm):
    samples = packet_samples(Codec.PACK12, 517)
    left, right = (
        in_step_ms(samples, interval_s, sign * ppm, phase * interval_s)
        for sign, phase in zip((1, -1), phases, strict=True)
    )
    assert np.abs(left - right).max() < 1.5


@pytest.mark.parametrize(("interval_s", "measure_ms"), [(0.015, 5.0), (0.03, 10.0)])
def test_a_packet_in_step_with_the_interval_costs_up_to_their_common_measure(interval_s, measure_ms):
    """Why packets are a sample shorter than could be: what the clock cannot tell from an offset."""
    phases_s = np.arange(0.1e-3, interval_s, 1e-3)
    waits_ms = [np.median(in_step_ms(20, interval_s, 0.0, phase_s)) for phase_s in phases_s]
    assert 0.7 * measure_ms < max(waits_ms) - min(waits_ms) < measure_ms


def test_it_settles_after_a_second_of_packets():
    index = np.arange(20, 4000, 20) + 3_999_900  # the index runs from boot, not from START
    settled = [run(index[:n], index[:n] / 2000 + 0.01).settled for n in (2, 98, 104)]
    assert settled == [False, False, True]
