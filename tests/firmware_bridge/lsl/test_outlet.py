"""The bands' stream on the lab network: what went in comes out of an inlet, gaps declared."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from edge.samples import RATE_HZ, SIDES, SampleChunk
from firmware_bridge.lsl.outlet import LslOutlet, relay
from firmware_bridge.lsl.source import LslStreams, open_lsl
from tests.firmware_bridge.lsl.loopback import network
from tests.firmware_bridge.sources import ArraySource, noise_uv

SAMPLES = 4992


class Stamped(ArraySource):
    """A known source whose samples were taken in the past few seconds."""

    def __init__(self, *arguments, start_s, **settings):
        super().__init__(*arguments, **settings)
        self.start_s = start_s

    async def chunks(self):
        async for chunk in super().chunks():
            yield chunk._replace(time_s=self.start_s + chunk.time_s)


@pytest.mark.parametrize("sides", [SIDES, ("right",)])
def test_samples_pass_to_the_bit_and_missing_ones_stay_missing(sides, monkeypatch):
    monkeypatch.setattr("firmware_bridge.lsl.inlet._LOOK_S", 0.3)
    pylsl = network()
    rng = np.random.default_rng(0)
    worn = np.array([side in sides for side in SIDES])
    valid = (rng.random((SAMPLES, 2)) > 0.05) & worn
    valid[2000:2500] = False  # a link that was away
    source = Stamped(noise_uv(SAMPLES), valid, sides=sides, start_s=pylsl.local_clock())
    streams = LslStreams("relayed") if sides == SIDES else LslStreams(right="relayed")

    async def run():
        outlet = LslOutlet(source.info, "relayed", pylsl.local_clock)
        async with open_lsl(streams, sides, clock=pylsl.local_clock, timeout_s=2.0) as received:
            assert outlet.heard()
            async with aclosing(relay(source, outlet)) as passing:
                passed = [chunk async for chunk in passing]
            chunks = []
            async with aclosing(received.chunks()) as incoming:
                async for chunk in incoming:
                    chunks.append(chunk)
                    if sum(len(c.time_s) for c in chunks) >= SAMPLES:
                        break
            return passed, chunks, received.info

    passed, chunks, info = asyncio.run(asyncio.wait_for(run(), 30))
    assert sum(len(chunk.time_s) for chunk in passed) == SAMPLES
    assert (info.sides, info.filtered) == (sides, False)
    got_uv, got_valid, time_s = (
        np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("emg_uv", "valid", "time_s")
    )
    np.testing.assert_array_equal(got_valid, valid)
    np.testing.assert_array_equal(got_uv[valid], source.emg_uv[valid])
    assert np.abs(time_s - source.start_s - np.arange(SAMPLES) / RATE_HZ).max() < 2e-3


def test_the_stream_says_what_it_carries():
    pylsl = network()
    info = ArraySource(noise_uv(1), sides=("left",)).info._replace(filtered=True)
    outlet = LslOutlet(info, "described", pylsl.local_clock)
    described = outlet._outlet.get_info()
    assert (described.channel_count(), described.nominal_srate(), described.type()) == (16, RATE_HZ, "EMG")
    assert described.get_channel_labels() == [f"L{electrode}" for electrode in range(16)]
    assert described.get_channel_units() == ["microvolts"] * 16
    assert "<filtered>yes</filtered>" in described.as_xml()


def test_an_empty_chunk_sends_nothing():
    source = ArraySource(noise_uv(0))
    outlet = LslOutlet(source.info, "empty", network().local_clock)
    outlet.push(SampleChunk(0, np.zeros(0), np.zeros((0, 2, 16), np.float32), np.zeros((0, 2), np.bool_)))
