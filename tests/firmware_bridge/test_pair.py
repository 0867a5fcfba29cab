"""Two bands over the real GATT, ATT and L2CAP stack, through bleak's API: sequences and bits, never rates."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.errors import SourceLost
from edge.samples import SIDES
from firmware_bridge import lane
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec, dequantize, quantize
from firmware_bridge.packetizer import packet_samples
from firmware_bridge.rig import virtual_bands
from firmware_bridge.virtual_band import Faults
from tests.firmware_bridge.rigging import read, record
from tests.firmware_bridge.sources import ArraySource, noise_uv

PER_PACKET = packet_samples(Codec.PACK12, 517)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("mtu", [47, 100, 185, 247, 517])
def test_both_bands_arrive_bit_for_bit_on_one_clock(codec, mtu):
    source = ArraySource(noise_uv(600 if mtu < 185 else 4000))
    got = record(source, codec=codec, mtu=mtu, start_s=1000.0)
    np.testing.assert_array_equal(got.emg_uv, dequantize(quantize(source.emg_uv, codec), codec))
    assert got.valid.all()
    assert got.start_s == 1000.0
    # a ping tells which sample it was, not where in it
    np.testing.assert_allclose(got.time_s, 1000.0 + np.arange(len(got.time_s)) / 2000, rtol=0, atol=0.5e-3)
    per_packet = packet_samples(codec, mtu)
    for stats, side in zip(got.stats, SIDES, strict=True):
        assert (stats.side, stats.mtu, stats.battery_percent) == (side, mtu, 87)
        if codec is not Codec.RICE12:  # takes as many as fit
            assert stats.packets == -(-len(source.emg_uv) // per_packet) + 1  # the last one says the end
        assert stats.received_samples == len(source.emg_uv)
        assert stats.lost == stats.duplicates == stats.refused == stats.queue_overflows == 0


def test_runs_agree_bit_for_bit_times_included():
    first, second = (record(ArraySource(noise_uv(4000), chunk=chunk)) for chunk in (50, 333))
    np.testing.assert_array_equal(first.emg_uv, second.emg_uv)
    np.testing.assert_allclose(first.time_s, second.time_s, rtol=0, atol=1e-12)


def test_losses_duplicates_and_damage_are_counted_and_declared():
    samples = 250 * PER_PACKET
    source = ArraySource(noise_uv(samples))
    left = Faults(drop=frozenset({0, 7, 8, 100}), duplicate=frozenset({3, 50}), corrupt=frozenset({20, 249}))
    got = record(source, faults={"left": left})
    missing = np.zeros(samples, np.bool_)
    for sequence in (*left.drop, *left.corrupt):
        missing[PER_PACKET * sequence : PER_PACKET * (sequence + 1)] = True
    np.testing.assert_array_equal(got.valid, np.stack([~missing, np.ones(samples, np.bool_)], axis=1))
    sent = dequantize(quantize(source.emg_uv, Codec.PACK12), Codec.PACK12)
    np.testing.assert_array_equal(got.emg_uv[got.valid], sent[got.valid])
    gap = slice(7 * PER_PACKET, 9 * PER_PACKET)
    np.testing.assert_array_equal(
        got.emg_uv[gap, 0], np.repeat(sent[gap.start - 1 : gap.start, 0], 2 * PER_PACKET, 0)
    )
    stats = got.stats[0]
    assert (stats.lost, stats.refused, stats.duplicates) == (6, 2, 2)
    assert (stats.received_samples, stats.missing_samples) == (samples - 6 * PER_PACKET, 6 * PER_PACKET)
    assert got.stats[1].lost == 0


def test_samples_that_the_source_misses_are_missing_here():
    valid = np.ones((4000, 2), np.bool_)
    valid[1003:1500, 1] = False
    got = record(ArraySource(noise_uv(4000), valid))
    np.testing.assert_array_equal(got.valid, valid)
    assert got.stats[1].lost == 0
    assert got.stats[1].missing_samples == 497


@pytest.mark.parametrize("side", SIDES)
def test_one_band_alone(side):
    source = ArraySource(noise_uv(3000), sides=(side,))
    got = record(source, sides=(side,))
    wrist = SIDES.index(side)
    assert got.valid[:, wrist].all()
    assert not got.valid[:, 1 - wrist].any()
    sent = dequantize(quantize(source.emg_uv, Codec.PACK12), Codec.PACK12)
    np.testing.assert_array_equal(got.emg_uv[:, wrist], sent[:, wrist])


def test_a_slow_reader_loses_nothing():
    async def pause(chunks: int) -> None:
        if chunks in (5, 40):
            await asyncio.sleep(0.2)  # thousands of packets, were the bands not to wait

    got = record(ArraySource(noise_uv(20_000)), pause=pause)
    assert got.valid.all()
    assert [stats.queue_overflows for stats in got.stats] == [0, 0]


def test_a_reader_too_slow_for_a_radio_sees_the_overflow_as_loss(monkeypatch):
    monkeypatch.setattr("firmware_bridge.link.QUEUE_PACKETS", 8)

    samples = 400 * PER_PACKET

    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(samples))) as rig,
            connect(backend=rig.backend, clock=rig.clock, codec=Codec.PACK12) as bands,
        ):

            async def pause(chunks: int) -> None:
                while chunks == 5 and min(stats.queue_overflows for stats in bands.stats()) < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0)

            return await read(rig, bands, pause)

    got = asyncio.run(run())
    assert len(got.valid) == samples
    for wrist, stats in enumerate(got.stats):
        assert stats.queue_overflows == stats.lost >= 20
        assert stats.missing_samples == (~got.valid[:, wrist]).sum() == PER_PACKET * stats.lost


def deliver_until_lost(source, faults):
    async def run():
        samples = 0
        async with (
            virtual_bands(source, faults=faults) as rig,
            connect(backend=rig.backend, clock=rig.clock, codec=Codec.PACK12, resume_s=0) as bands,
        ):
            try:
                async for chunk in bands.chunks():
                    samples += len(chunk.time_s)
            except SourceLost as lost:
                return samples, str(lost), bands.stats()
        return pytest.fail("the source ended, and was to be lost")

    return asyncio.run(run())


def test_a_disconnection_delivers_what_had_come_and_is_named():
    faults = {"right": Faults(disconnect_at=150)}
    samples, says, stats = deliver_until_lost(ArraySource(noise_uv(8000)), faults)
    assert "right band disconnected" in says
    assert samples == 151 * PER_PACKET  # right sent 150 packets; left's next one was under way
    assert stats[1].received_samples == 150 * PER_PACKET


def test_silence_is_a_lost_band():
    faults = {"left": Faults(drop=frozenset(range(120, 10_000)))}
    samples, says, stats = deliver_until_lost(ArraySource(noise_uv(10_000)), faults)
    assert "left band has sent nothing for 500 ms" in says
    assert stats[0].received_samples == 120 * PER_PACKET
    assert abs(samples - 120 * PER_PACKET - 1000) <= 2 * PER_PACKET


def test_packets_that_are_all_damaged_are_silence():
    faults = {"left": Faults(corrupt=frozenset(range(120, 10_000)))}
    samples, says, stats = deliver_until_lost(ArraySource(noise_uv(10_000)), faults)
    assert "left band has sent nothing that can be used (a packet's CRC is wrong" in says
    assert stats[0].refusals == (("CRC", stats[0].refused),)
    assert stats[0].received_samples == 120 * PER_PACKET
    assert stats[0].refused > 10
    assert abs(samples - 120 * PER_PACKET - 1000) <= 2 * PER_PACKET


def test_a_jump_ahead_ends_the_stream_and_says_why():
    valid = np.ones((30_000, 2), np.bool_)
    valid[3000:24_000] = False
    samples, says, _ = deliver_until_lost(ArraySource(noise_uv(30_000), valid), {})
    assert "10 s of the band's samples are missing" in says
    assert samples == 3000


def test_a_lost_end_is_silence_too(monkeypatch):
    monkeypatch.setattr(lane, "SILENCE_S", 0.15)
    everything = Faults(drop=frozenset({150}))
    samples = 150 * PER_PACKET
    _, says, stats = deliver_until_lost(ArraySource(noise_uv(samples)), {"left": everything})
    assert "left band has sent nothing" in says
    assert stats[0].received_samples == samples


def test_a_pair_streams_once():
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(100))) as rig,
            connect(backend=rig.backend, clock=rig.clock, codec=Codec.PACK12) as bands,
        ):
            assert [len(chunk.time_s) async for chunk in bands.chunks()] == [64, 36]
            with pytest.raises(RuntimeError, match="connect again"):
                await anext(bands.chunks())

    asyncio.run(run())


def test_a_reader_may_leave_early():
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(20_000))) as rig,
            connect(backend=rig.backend, clock=rig.clock, codec=Codec.PACK12) as bands,
        ):
            chunks = bands.chunks()
            await anext(chunks)
            await chunks.aclose()
            assert not any(band.streaming for band in rig.bands.values())

    asyncio.run(run())


def test_in_real_time_the_samples_are_the_same():
    """What arrives is exact here too; where it stands depends on this machine's load."""
    source = ArraySource(noise_uv(2400))
    got = record(source, speed=1.0, start_s=1e9)
    sent = dequantize(quantize(source.emg_uv, Codec.PACK12), Codec.PACK12)
    for wrist, stats in enumerate(got.stats):
        assert stats.received_samples + stats.missing_samples == 2400
        arrived = got.emg_uv[got.valid[:, wrist], wrist]
        assert len(arrived) == stats.received_samples + stats.repeated_samples
        assert np.isin(arrived[:, 0], sent[:, wrist, 0]).all()
    assert (np.diff(got.time_s) > 0).all()
    assert got.start_s >= 1e9
