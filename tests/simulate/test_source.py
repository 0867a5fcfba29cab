"""Performances as live sources: samples and keys delivered once, in order, on one clock."""

import asyncio
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import RATE_HZ
from simulate.source import PerformanceKeys, PerformanceSource
from simulate.wearer import Wearer

START_S = 1_700_000_000.0


@cache
def performance():
    return Wearer(4).perform(0, prompts=["seven short words to be typed"])


async def read(source):
    return [chunk async for chunk in source.chunks()]


@settings(deadline=None)  # a busy machine is no fault
@given(chunk_samples=st.integers(100, 5000))
def test_chunks_together_are_the_performance(chunk_samples):
    chunks = asyncio.run(read(PerformanceSource(performance(), START_S, chunk_samples)))
    assert np.array_equal(np.concatenate([chunk.emg_uv for chunk in chunks]), performance().emg_uv)
    assert np.concatenate([chunk.valid for chunk in chunks]).all()
    time_s = np.concatenate([chunk.time_s for chunk in chunks])
    assert np.array_equal(time_s, START_S + np.arange(len(time_s)) / RATE_HZ)
    assert [chunk.first_index for chunk in chunks] == list(range(0, len(time_s), chunk_samples))


def test_the_source_says_what_it_is():
    info = PerformanceSource(performance()).info
    assert (info.rate_hz, info.sides, info.filtered) == (2000, ("left", "right"), False)


@given(times=st.lists(st.floats(-1, 20), max_size=20))
def test_keys_are_delivered_once_and_when_they_are_due(times):
    source = PerformanceKeys(performance(), lambda: START_S)
    delivered = []
    for time_s in sorted(times):
        due = source.until(START_S + time_s)
        assert all(key.press_s <= START_S + time_s for key in due)
        delivered += due
    delivered += source.until(np.inf)
    assert [key.key for key in delivered] == [key.key for key in performance().keys]
    assert [key.press_s for key in delivered] == [START_S + key.press_s for key in performance().keys]


def test_the_clock_is_asked_when_keys_are():
    clock = [100.0]
    source = PerformanceKeys(performance(), lambda: clock[0])
    assert source.until(101.0) == []
    clock[0] = 50.0
    assert source.until(101.0) != []
