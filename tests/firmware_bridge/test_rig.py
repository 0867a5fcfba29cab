"""The stand-in for two wrists: its clock, its start, and what happens when its source breaks."""

from __future__ import annotations

import asyncio
import itertools
import math

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner

from edge.errors import SourceLost
from firmware_bridge.backends import Backend
from firmware_bridge.backends.bumble import BumbleClient, BumbleScanner
from firmware_bridge.band_script import (
    Claims,
    DriftEvent,
    DropEvent,
    IntervalEvent,
    MistreatEvent,
    RebootEvent,
    Script,
)
from firmware_bridge.connect import connect
from firmware_bridge.control import Config, Result, Start, Started, Stop
from firmware_bridge.gatt import STATUS, decode_status
from firmware_bridge.packet import Codec, Flags, quantize
from firmware_bridge.rig import Rig, virtual_bands
from firmware_bridge.virtual_air import VirtualAir
from firmware_bridge.virtual_band import Listener
from firmware_bridge.virtual_clock import VirtualClock
from tests.firmware_bridge.host import connected, stream
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
            connect(backend=rig.backend, clock=rig.clock, resume_s=0) as bands,
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
                assert not [chunk async for chunk in bands.chunks()]
                assert [link.missing_samples for link in bands.stats()] == [0, 0]

    asyncio.run(run())


def run_script(script, samples=8000, codecs=(Codec.PACK12,), **rig_options):
    """What the least host of each band receives, which comes back whenever it is dropped."""

    async def run():
        source = ArraySource(noise_uv(samples))
        async with virtual_bands(source, script=script, **rig_options) as rig:
            received = await asyncio.gather(*(stream(rig, side, *codecs) for side in rig.bands))
        return dict(zip(rig.bands, received, strict=True))

    return asyncio.run(run())


def indices(packets, boot=1):
    """The index of each sample that arrived in a boot."""
    parts = [p.first_index + np.arange(len(p.counts)) for _, p in packets if p.boot == boot]
    return np.concatenate(parts)


def test_a_dropped_band_comes_back_in_the_same_boot_and_its_neighbour_goes_on():
    got = run_script(Script(events=[DropEvent(at_s=1, side="left", away_s=0.5)]))
    packets, starts = got["left"]
    assert starts == [Started(1, 0, 0), Started(1, 105, 3000)]  # 19 samples a packet, 105 of them by 2000
    np.testing.assert_array_equal(indices(packets), np.r_[0 : 105 * 19, 3000:8000])
    assert packets[-1][1].first_index == 8000
    np.testing.assert_array_equal(indices(got["right"][0]), np.arange(8000))
    assert all(
        at_s == (p.first_index + len(p.counts)) / 2000 for packets, _ in got.values() for at_s, p in packets
    )


def test_a_drop_is_to_the_sample_wherever_the_source_s_chunks_end():
    got = run_script(Script(events=[DropEvent(at_s=1.0115, side="left", away_s=0.502)]), samples=4000)
    packets, starts = got["left"]
    assert starts[1] == Started(1, 106, 3027)
    np.testing.assert_array_equal(indices(packets), np.r_[0 : 106 * 19, 3027:4000])


def test_a_band_that_reboots_counts_from_the_boot():
    got = run_script(Script(events=[RebootEvent(at_s=1, side="left", away_s=0.25)]), samples=4000)
    packets, starts = got["left"]
    assert starts == [Started(1, 0, 0), Started(2, 0, 500)]
    np.testing.assert_array_equal(indices(packets, boot=2), np.arange(500, 2000))
    source = quantize(noise_uv(4000), Codec.PACK12)[:, 0]
    counts = np.concatenate([p.counts for _, p in packets])
    np.testing.assert_array_equal(counts, source[np.r_[0 : 105 * 19, 2500:4000]])


def test_a_source_that_ends_while_a_band_is_away_ends_for_it_on_its_return():
    got = run_script(Script(events=[DropEvent(at_s=1, side="right", away_s=9)]), samples=4000)
    assert got["left"][0][-1][0] == 2.0
    (*_, (at_s, end)), starts = got["right"]
    assert (at_s, end.first_index, starts[-1]) == (10.0, 20_000, Started(1, 105, 20_000))


def test_time_goes_on_without_a_host_that_stays_away():
    async def run():
        script = Script(events=[DropEvent(at_s=0.5, side="right", away_s=0.1)])
        async with virtual_bands(ArraySource(noise_uv(4000)), script=script, hold_s=0.05) as rig:

            async def leave():
                async with connected(rig, "right") as host:
                    await host.ask(Config(Codec.PACK12, frozenset(Codec), 2000))
                    await host.ask(Start())
                    await host.gone.wait()

            (packets, _), _ = await asyncio.gather(stream(rig, "left", Codec.PACK12), leave())
            return packets, rig.bands["right"].listener

    packets, listener = asyncio.run(run())
    assert packets[-1][1].first_index == 4000
    assert listener is Listener.NOBODY


def test_time_stands_while_nobody_listens_and_goes_on_with_the_next_start():
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(4000)), sides=("left",)) as rig,
            connected(rig, "left") as host,
        ):
            await host.ask(Config(Codec.PACK12, frozenset(Codec), 2000))
            await host.ask(Start())
            while len(host.packets) < 50:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await host.ask(Stop())
            stopped_s = rig.clock()
            await asyncio.sleep(0.05)
            assert rig.clock() - stopped_s < 0.1  # the rest of a chunk
            sent = len(host.packets)
            _, started = await host.ask(Start())
            await host.gone.wait()
            return sent, started, host.packets

    sent, started, packets = asyncio.run(run())
    following = packets[sent][1]
    assert (following.sequence, following.first_index) == (started.sequence, started.first_index)
    assert following.sequence >= sent
    assert started.first_index >= 50 * 19
    counts = np.concatenate([p.counts for _, p in packets])
    np.testing.assert_array_equal(counts, quantize(noise_uv(4000), Codec.PACK12)[indices(packets), 0])
    assert (np.diff(indices(packets)) > 0).all()
    assert packets[-1][1].first_index == 4000


BUSY = Script(
    seed=3,
    events=[
        IntervalEvent(at_s=0, interval_ms=30, pdus=4, error_percent=20),
        MistreatEvent(at_s=0.5, what="loss", percent=10, for_s=1),
        MistreatEvent(at_s=1, side="left", what="duplicate", percent=30, for_s=1),
        DriftEvent(at_s=0, side="right", ppm=300),
        DropEvent(at_s=2, side="left", away_s=0.4),
    ],
)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    def told(script):
        got = run_script(script, samples=6000)
        return [
            [(at_s, p.sequence, p.first_index, p.flags) for at_s, p in packets] for packets, _ in got.values()
        ]

    first = told(BUSY)
    assert told(BUSY) == first
    assert told(BUSY.model_copy(update={"seed": 4})) != first


def test_a_paced_band_sends_at_its_connection_events():
    script = Script(events=[IntervalEvent(at_s=0, side="left", interval_ms=30, pdus=20)])
    got = run_script(script, samples=6000)
    packets, _ = got["left"]
    np.testing.assert_array_equal(indices(packets), np.arange(6000))
    arrivals_ms = np.unique([round(1000 * at_s, 6) for at_s, _ in packets])
    np.testing.assert_allclose(np.diff(arrivals_ms), 30, atol=1e-3)
    late_ms = [1000 * at_s - (p.first_index + len(p.counts)) / 2 for at_s, p in packets if len(p.counts)]
    assert min(late_ms) >= 0
    assert max(late_ms) <= 30


@pytest.mark.parametrize("speed", [None, 4.0])
def test_a_paced_band_answers_after_the_end(speed):
    async def run():
        script = Script(events=[IntervalEvent(at_s=0, interval_ms=15, pdus=8)])
        source = ArraySource(noise_uv(500))
        async with (
            virtual_bands(source, sides=("left",), script=script, speed=speed) as rig,
            connected(rig, "left") as host,
        ):
            await host.ask(Config(Codec.PACK12, frozenset(Codec), 2000))
            await host.ask(Start())
            await host.gone.wait()
            return await host.ask(Stop()), indices(host.packets)

    (result, _), arrived = asyncio.run(run())
    assert result is Result.OK
    np.testing.assert_array_equal(np.diff(arrived), 1)


def test_a_radio_that_is_behind_overflows_is_told_and_steps_down():
    """3 PDUs every 50 ms are one full packet: 20 packets a second of the 154 that raw16 needs."""
    script = Script(events=[IntervalEvent(at_s=0, side="left", interval_ms=50, pdus=3)])
    got = run_script(script, samples=8000, codecs=(Codec.RAW16, Codec.PACK12))
    packets, _ = got["left"]
    codecs = [p.codec for _, p in packets]
    change = codecs.index(Codec.PACK12)
    assert set(codecs[:change]) == {Codec.RAW16}
    assert Codec.RAW16 not in codecs[change + 1 :]
    gaps = [other.sequence - one.sequence - 1 for (_, one), (_, other) in itertools.pairwise(packets)]
    after_gap = [bool(other.flags & Flags.OVERFLOW) for _, other in packets[1:]]
    assert sum(gaps) > 100
    assert after_gap[:-1] == [gap > 0 for gap in gaps][:-1]
    assert len(indices(packets)) < 8000 == packets[-1][1].first_index


def test_claims_are_advertised_and_told():
    async def run():
        script = Script(right=Claims(side="left", rate_hz=1000, version=3))
        async with virtual_bands(ArraySource(noise_uv(0)), script=script, sides=("right",)) as rig:
            device = await BleakScanner.find_device_by_name("Qwrist3L", 5, backend=rig.backend.scanner)
            async with BleakClient(device, backend=rig.backend.client) as client:
                return decode_status(bytes(await client.read_gatt_char(STATUS)))

    status = asyncio.run(run())
    assert (status.version, status.side, status.rate_hz) == (3, "left", 1000)
