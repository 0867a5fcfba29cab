"""A band's samples are those of its source, at its crystal's pace and numbered without a slip."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import ELECTRODES, RATE_HZ
from firmware_bridge.packet import Codec
from firmware_bridge.packetizer import Packetizer
from firmware_bridge.virtual_sampler import Sampler

PACKETIZER = Packetizer(Codec.RAW16, 13, boot=5)
ppms = st.one_of(st.sampled_from([0.0, 100.0, -100.0]), st.floats(-1000, 1000))
cuts = st.lists(st.integers(0, 3000), max_size=8)


def ticks_uv(first: int, stop: int):
    """(T, E) microvolts whose raw16 count is their tick, modulo 10,000."""
    ticks = np.arange(first, stop) % 10_000
    return np.repeat(ticks[:, None], ELECTRODES, 1).astype(np.float32) * np.float32(0.2)


def take(sampler: Sampler, first: int, stop: int, packetizer=PACKETIZER):
    valid = np.ones(stop - first, np.bool_)
    return sampler.take(first, ticks_uv(first, stop), valid, packetizer)


def in_full(due):
    return due.due_tick, due.packet._replace(counts=due.packet.counts.tobytes())


@settings(deadline=None)  # this machine may be busy
@given(ppms, cuts)
def test_chunks_change_nothing(ppm, cuts):
    whole, parts = Sampler(5, ppm=ppm), Sampler(5, ppm=ppm)
    expected = take(whole, 0, 3000)
    got = [due for a, b in itertools.pairwise([0, *sorted(cuts), 3000]) for due in take(parts, a, b)]
    assert [in_full(due) for due in got] == [in_full(due) for due in expected]
    assert parts.next_index == whole.next_index


@settings(deadline=None)  # this machine may be busy
@given(ppms, st.integers(0, 5000), st.integers(0, 5000))
def test_each_sample_is_the_nearest_of_its_moment(ppm, boot_tick, wait):
    first = boot_tick + wait
    sampler = Sampler(5, boot_tick, ppm)
    sampler.begin(first)
    for due in take(sampler, first, first + 1000):
        indices = due.packet.first_index + np.arange(len(due.packet.counts))
        moments = boot_tick + indices / (1 + 1e-6 * ppm)
        error = (due.packet.counts[:, 0] - moments + 5000) % 10_000 - 5000
        assert np.abs(error).max() <= 0.5 + 1e-6
        assert abs(due.due_tick - moments[-1] - 1) < 0.01  # a packet is complete when its last sample is over


@settings(deadline=None)  # this machine may be busy
@given(ppms, ppms, st.integers(1, 2999))
def test_drift_bends_the_index_and_breaks_nothing(before, after, at):
    sampler = Sampler(5, ppm=before)
    packets = [due.packet for due in take(sampler, 0, at)]
    sampler.drift(after)
    packets += [due.packet for due in take(sampler, at, 3000)]
    for one, other in itertools.pairwise(packets):
        assert other.first_index == one.first_index + len(one.counts)
        assert other.sequence == one.sequence + 1
        step = np.diff(np.concatenate([one.counts[:, 0], other.counts[:, 0]]))
        assert ((step >= 0) & (step <= 2)).all()  # the nearest row, or its neighbour
    true = at * (1 + 1e-6 * before) + (3000 - at) * (1 + 1e-6 * after)
    assert abs(sampler.next_index - true) <= 1.01


def test_the_index_runs_while_nobody_listens_and_the_sequence_does_not():
    sampler = Sampler(5)
    assert take(sampler, 0, 130)[-1].packet.sequence == 9
    assert take(sampler, 130, 1130, packetizer=None) == []
    sampler.begin(1130)
    assert sampler.numbering == (10, 1130)
    packet = take(sampler, 1130, 1143)[0].packet
    assert (packet.sequence, packet.first_index, packet.counts[0, 0]) == (10, 1130, 1130)


def test_a_stream_that_waits_for_its_source_counts_nothing_meanwhile():
    sampler = Sampler(5)
    sampler.begin(100)
    sampler.wait_until(150)
    packet = take(sampler, 150, 163)[0].packet
    assert (packet.first_index, packet.counts[0, 0]) == (100, 150)


def test_another_codec_begins_with_a_packet_of_its_own():
    sampler = Sampler(5)
    packets = [due.packet for due in take(sampler, 0, 20)]
    packets += [due.packet for due in take(sampler, 20, 47, Packetizer(Codec.PACK12, 20, boot=5))]
    assert [(p.codec, p.sequence, p.first_index, len(p.counts)) for p in packets] == [
        (Codec.RAW16, 0, 0, 13),
        (Codec.RAW16, 1, 13, 7),
        (Codec.PACK12, 2, 20, 20),
    ]
    assert sampler.end(Packetizer(Codec.PACK12, 20, boot=5))[-1].packet.first_index == 47


def test_the_crystal_s_ppm_is_of_true_time():
    sampler = Sampler(5, ppm=100)
    take(sampler, 0, 100 * RATE_HZ, packetizer=None)
    assert sampler.next_index == 100 * RATE_HZ + 20
