"""The stand-in for two wrists: its clock, its start, and what happens when its source breaks."""

from __future__ import annotations

import asyncio
import math

import pytest

from edge.errors import SourceLost
from firmware_bridge.backends import Backend
from firmware_bridge.backends.bumble import BumbleClient, BumbleScanner
from firmware_bridge.connect import connect
from firmware_bridge.rig import Rig, virtual_bands
from firmware_bridge.virtual_air import VirtualAir
from firmware_bridge.virtual_clock import VirtualClock
from tests.firmware_bridge.sources import ArraySource, noise_uv


def test_the_virtual_clock_starts_with_the_bands_and_counts_samples():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(2000)), start_s=7.0) as rig:
            assert (rig.clock(), rig.start_s) == (7.0, math.inf)
            async with connect(backend=rig.backend, clock=rig.clock) as bands:
                assert rig.start_s == math.inf  # connected, not started
                async for chunk in bands.chunks():
                    assert rig.start_s == 7.0
                    assert chunk.time_s[-1] <= rig.clock()
            assert 8.0 <= rig.clock() < 9.0

    asyncio.run(run())


def test_at_a_speed_the_clock_runs_from_start_s(monkeypatch):
    now_s = 50.0
    monkeypatch.setattr("firmware_bridge.virtual_clock.time.monotonic", lambda: now_s)
    source = ArraySource(noise_uv(0))
    clock = VirtualClock(1000.0, 4.0)
    rig = Rig(source, {}, VirtualAir(), Backend(BumbleScanner, BumbleClient, []), clock=clock)
    assert rig.clock() == 1000.0
    now_s += 2.5
    assert rig.clock() == 1010.0
    asyncio.run(rig.stream())  # no band to wait for
    assert rig.start_s == 1010.0


def test_silence_after_the_end_takes_time():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            async with connect(backend=rig.backend, clock=rig.clock) as bands:
                async for _ in bands.chunks():
                    pass
            before_s = rig.clock()
            await asyncio.sleep(0.01)
            assert rig.clock() > before_s

    asyncio.run(run())


def test_a_source_that_breaks_is_a_lost_link_here_and_its_own_error_there():
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(3000), fails_at=2500)) as rig,
            connect(backend=rig.backend, clock=rig.clock) as bands,
        ):
            with pytest.raises(SourceLost, match="disconnected"):
                async for _ in bands.chunks():
                    pass

    with pytest.raises(RuntimeError, match="the source broke"):
        asyncio.run(run())


def test_bands_that_were_never_started_stream_nothing():
    async def run():
        source = ArraySource(noise_uv(100), fails_at=0)
        async with virtual_bands(source) as rig, connect(backend=rig.backend, clock=rig.clock):
            assert not any(band.streaming for band in rig.bands.values())

    asyncio.run(run())


def test_a_spent_rig_says_so():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            async with connect(backend=rig.backend, clock=rig.clock) as bands:
                assert [len(c.time_s) async for c in bands.chunks()]
            async with connect(backend=rig.backend, clock=rig.clock) as bands:
                with pytest.raises(SourceLost, match="START"):
                    await anext(bands.chunks())

    asyncio.run(run())
