"""What breaks off goes on: the same session, a new segment, nothing twice and nothing hidden."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.errors import SourceLost
from edge.samples import SIDES
from firmware_bridge.band_script import DropEvent, MistreatEvent, RebootEvent, Script
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec, dequantize, quantize
from firmware_bridge.rig import virtual_bands
from tests.firmware_bridge.sources import ArraySource, noise_uv


def record(source, *events, resume_s=30.0, sides=SIDES):
    """All chunks and the links' counters; the tasks that are left after it."""

    async def run():
        chunks = []
        async with (
            virtual_bands(source, sides=sides, script=Script(events=list(events))) as rig,
            connect(
                sides, backend=rig.backend, clock=rig.clock, codec=Codec.PACK12, resume_s=resume_s
            ) as bands,
        ):
            async for chunk in bands.chunks():
                chunks.append(chunk)
            stats = bands.stats()
        assert rig.backend.backlogs == []
        await asyncio.sleep(0)
        left = {task.get_coro().__qualname__ for task in asyncio.all_tasks()} - {"record.<locals>.run"}
        return chunks, stats, left

    return asyncio.run(run())


def joined(chunks):
    assert [c.first_index for c in chunks] == np.cumsum([0, *[len(c.time_s) for c in chunks]])[:-1].tolist()
    time_s = np.concatenate([chunk.time_s for chunk in chunks])
    assert (np.diff(time_s) > 0).all()
    segments = [segment for chunk in chunks for segment in chunk.segments]
    for chunk in chunks:
        for segment in chunk.segments:
            assert chunk.first_index <= segment.first_index < chunk.first_index + len(chunk.time_s)
    return np.concatenate([c.emg_uv for c in chunks]), np.concatenate([c.valid for c in chunks]), segments


def sent_uv(source):
    return dequantize(quantize(source.emg_uv, Codec.PACK12), Codec.PACK12)


def test_a_band_that_was_out_of_reach_goes_on_where_it_stands():
    source = ArraySource(noise_uv(16_000))
    chunks, stats, left = record(source, DropEvent(at_s=2.0, side="left", away_s=1.5))
    emg_uv, valid, segments = joined(chunks)
    assert [(s.side, s.reason, s.uncertain) for s in segments] == [("left", "reconnected", 0)]
    assert 3000 <= segments[0].missing <= 3100
    for wrist, link in enumerate(stats):
        assert link.received_samples + link.missing_samples == 16_000
        assert valid[:, wrist].sum() == link.received_samples + link.repeated_samples
        assert link.duplicates == 0
    assert [link.reconnects for link in stats] == [1, 0]
    assert stats[1].missing_samples == 0
    assert valid[:, 1].all()
    aligned = slice(0, 4000 - 20)
    np.testing.assert_array_equal(emg_uv[aligned], sent_uv(source)[aligned])
    after = emg_uv[segments[0].first_index :, 0]
    np.testing.assert_array_equal(after, sent_uv(source)[16_000 - len(after) :, 0])
    assert left == set()


def test_a_band_that_restarts_goes_on_behind_a_gap_that_the_hosts_clock_bounds():
    source = ArraySource(noise_uv(16_000))
    chunks, stats, _ = record(source, RebootEvent(at_s=3.0, side="right", away_s=1.0))
    emg_uv, valid, segments = joined(chunks)
    assert [(s.side, s.reason) for s in segments] == [("right", "restarted")]
    after = emg_uv[segments[0].first_index :, 1]
    first = int(np.flatnonzero((sent_uv(source)[:, 1] == after[0]).all(axis=1))[0])
    before = int(valid[: segments[0].first_index, 1].sum())
    assert abs(segments[0].missing - (first - before)) <= segments[0].uncertain
    assert 0 < segments[0].uncertain < 200
    assert stats[1].reconnects == 1


def test_both_bands_may_leave_together():
    source = ArraySource(noise_uv(20_000))
    chunks, stats, _ = record(source, DropEvent(at_s=2.0, side="both", away_s=3.0))
    _, valid, segments = joined(chunks)
    assert sorted(s.side for s in segments) == ["left", "right"]
    for wrist, link in enumerate(stats):
        assert link.received_samples + link.missing_samples == 20_000
        assert link.missing_samples == (~valid[:, wrist]).sum()


def test_twenty_drops_leave_no_client_no_task_and_no_doubt():
    source = ArraySource(noise_uv(48_000))
    drops = [DropEvent(at_s=1.0 + i, side=SIDES[i % 2], away_s=0.2) for i in range(20)]
    chunks, stats, left = record(source, *drops)
    _, valid, segments = joined(chunks)
    assert [link.reconnects for link in stats] == [10, 10]
    assert len(segments) == 20
    for wrist, link in enumerate(stats):
        assert link.received_samples + link.missing_samples == 48_000
        assert valid[:, wrist].sum() == link.received_samples + link.repeated_samples
        assert link.duplicates == 0
    assert left == set()


def test_a_link_that_stands_and_carries_nothing_is_made_anew():
    source = ArraySource(noise_uv(16_000))
    silence = MistreatEvent(what="loss", at_s=2.0, side="left", percent=100, for_s=1.0)
    _, stats, _ = record(source, silence)
    assert stats[0].reconnects >= 1
    assert stats[0].received_samples + stats[0].missing_samples == 16_000
    assert stats[1].missing_samples == 0


def test_a_band_that_stays_away_ends_the_stream_and_all_that_came_is_delivered():
    source = ArraySource(noise_uv(60_000))
    drop = DropEvent(at_s=2.0, side="left", away_s=27.0)
    samples = 0

    async def run():
        nonlocal samples
        async with (
            virtual_bands(source, script=Script(events=[drop])) as rig,
            connect(backend=rig.backend, clock=rig.clock, resume_s=0.05) as bands,
        ):
            async for chunk in bands.chunks():
                samples += len(chunk.time_s)

    with pytest.raises(SourceLost, match=r"the left band disconnected.*looked for during 0.05 s"):
        asyncio.run(run())
    assert samples >= 3900
