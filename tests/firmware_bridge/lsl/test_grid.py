"""Stamps of every kind: no sample is dropped, gaps are found where and as long as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.errors import SourceLost
from edge.samples import RATE_HZ
from firmware_bridge.errors import BandRefused
from firmware_bridge.lsl.grid import WINDOW, Grid, Stamped
from tests.edge.making import cut

START_S = 1000.0
GAP_AT = 20_000


class Gap(NamedTuple):
    at: int  # samples before it
    missing: int
    uncertain: int


def place(time_s, cuts=()):
    """The gaps that the grid declares; every sample must come out once, in order."""
    grid = Grid()
    state = grid.initial_state(1)
    values = np.arange(len(time_s), dtype=np.float32)[:, None]
    pieces = []
    for part in cut(len(time_s), list(cuts)):
        state, found = grid.step(state, Stamped(time_s[part], values[part]))
        pieces += found
    state, found = grid.finish(state)
    pieces += found
    np.testing.assert_array_equal(np.concatenate([piece.values for piece in pieces]), values)
    starts = np.cumsum([0, *(len(piece.values) for piece in pieces)])
    gaps = [
        Gap(int(at), piece.missing, piece.uncertain)
        for at, piece in zip(starts, pieces, strict=False)
        if piece.missing
    ]
    assert state.next_index == len(time_s) + sum(gap.missing for gap in gaps)
    return gaps


def taken_s(samples, missing=0, ppm=0.0):
    """When samples were taken that go on after a gap of `missing`."""
    index = np.arange(samples + missing)
    index = np.delete(index, np.s_[GAP_AT : GAP_AT + missing])
    return START_S + index / RATE_HZ * (1 + ppm * 1e-6)


def in_chunks(time_s, chunk, late_s):
    """Stamped as programs do: each chunk's last sample by its arrival, those before by the rate."""
    count = len(time_s) // chunk
    arrival_s = np.maximum.accumulate(time_s[: count * chunk].reshape(count, chunk)[:, -1] + late_s(count))
    return (arrival_s[:, None] - (chunk - 1 - np.arange(chunk)) / RATE_HZ).ravel()


@settings(max_examples=20, deadline=None)
@given(
    missing=st.integers(1, 4000),
    ppm=st.floats(-100, 100),
    cuts=st.lists(st.integers(0, 30_000), max_size=30),
)
@example(missing=3016, ppm=100.0, cuts=[])  # 0.3 samples of drift in the gap, and 0.3 since the line
def test_stamps_of_the_devices_own_clock_show_every_gap_to_the_sample(missing, ppm, cuts):
    """Half a second of gap to the sample; in longer ones a crystal that is 100 ppm off may hide one."""
    (gap,) = place(taken_s(30_000, missing, ppm), cuts)
    assert gap.at == GAP_AT
    assert gap.uncertain == (0 if missing < 1000 else 1)
    assert abs(gap.missing - missing) <= gap.uncertain
    assert gap.missing == missing or abs(ppm) > 50


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    chunk=st.sampled_from([1, 20, 32, 64, 100]),
    jitter_ms=st.floats(0.5, 6),
    missing=st.integers(200, 4000),
    ppm=st.floats(-100, 100),
)
def test_stamps_that_jitter_show_long_gaps_within_their_jitter(seed, chunk, jitter_ms, missing, ppm):
    rng = np.random.default_rng(seed)
    late_s = lambda count: rng.exponential(jitter_ms / 1000, count)  # noqa: E731
    gaps = place(in_chunks(taken_s(40_000, missing, ppm), chunk, late_s))
    total = sum(gap.missing for gap in gaps)
    assert abs(total - missing) <= 0.002 * RATE_HZ * jitter_ms + 4
    assert all(abs(gap.at - GAP_AT) <= 2 * WINDOW for gap in gaps)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), chunk=st.sampled_from([20, 64]), stalls=st.integers(1, 8))
def test_chunks_that_were_only_late_are_no_gap(seed, chunk, stalls):
    rng = np.random.default_rng(seed)

    def late_s(count):
        late = rng.exponential(0.001, count)
        for start in rng.permutation(np.arange(10) * count // 10)[:stalls]:  # 2 s from one to the next
            lasts = int(rng.uniform(0.05, 0.4) * RATE_HZ / chunk)
            held = np.arange(lasts, 0, -1)[: count - start]
            late[start : start + lasts] += held * chunk / RATE_HZ  # all arrive when the stall ends
        return late

    assert place(in_chunks(taken_s(40_000), chunk, late_s)) == []


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=60), seed=st.integers(0, 100))
def test_it_is_the_same_however_the_stream_was_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    time_s = in_chunks(taken_s(20_000), 40, lambda count: rng.exponential(0.006, count))
    assert place(time_s, cuts) == place(time_s)


def test_a_short_stream_comes_out_whole():
    for samples in (1, 31, 32, 33, 3999):
        assert place(taken_s(samples)) == []


@pytest.mark.parametrize("rate_hz", [1000, 1926, 2048, 4000])
def test_a_stream_that_lies_about_its_rate_is_refused(rate_hz):
    with pytest.raises(BandRefused, match=f"says 2000 Hz, its timestamps {rate_hz} samples a second"):
        place(START_S + np.arange(5000) / rate_hz)


def test_stamps_that_stand_still_are_refused():
    with pytest.raises(BandRefused, match="samples of one moment"):
        place(np.full(5000, START_S))


def test_a_gap_too_long_to_bridge_ends_the_stream():
    with pytest.raises(SourceLost, match="11 s of the LSL stream are missing"):
        place(taken_s(30_000, missing=22_000))


def test_samples_behind_a_leap_wait_half_a_second_where_stamps_jitter():
    rng = np.random.default_rng(0)
    grid, noise = Grid(), rng.exponential(0.003, 30_000)
    state, out = grid.initial_state(1), 0
    time_s = taken_s(30_000, missing=1000) + noise
    given_after = []
    for at in range(0, 30_000, 32):
        state, pieces = grid.step(state, Stamped(time_s[at : at + 32], np.zeros((32, 1), np.float32)))
        out += sum(len(piece.values) for piece in pieces)
        given_after.append(at + 32 - out)
    assert max(given_after[200:]) <= WINDOW + 64
    assert given_after[-1] <= 64
