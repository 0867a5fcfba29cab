"""Received + missing == sent, exactly, whatever is lost or repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import SourceLost
from firmware_bridge.control import Started
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Codec, Flags, Packet, dequantize
from firmware_bridge.packetizer import Packetizer, PacketizerState
from firmware_bridge.stream import MAX_GAP_SAMPLES, StreamState, begin, restart, resume, step


def sent(samples: int, per_packet: int, seed: int = 0) -> tuple[np.ndarray, list[Packet]]:
    counts = np.random.default_rng(seed).integers(-2000, 2000, (samples, 16)).astype(np.int16)
    emg_uv = dequantize(counts, Codec.PACK12)
    packetizer = Packetizer(Codec.PACK12, per_packet)
    state, packets = packetizer.step(PacketizerState(), emg_uv, np.ones(samples, np.bool_))
    return emg_uv, packets + packetizer.end(state)


@given(st.integers(0, 300), st.integers(1, 21), st.data())
def test_every_sample_is_received_or_declared_missing(samples, per_packet, data):
    emg_uv, packets = sent(samples, per_packet)
    copies = data.draw(st.lists(st.integers(0, 2), min_size=len(packets), max_size=len(packets)))
    copies[-1] = max(1, copies[-1])  # the end arrives
    state, out, valid = StreamState(), [], []
    for packet, times in zip(packets, copies, strict=True):
        for _ in range(times):
            state, segment = step(state, packet)
            out.append(segment.emg_uv)
            valid += [False] * segment.missing + [True] * len(segment.emg_uv)
    out, valid = np.concatenate(out), np.array(valid, np.bool_)
    assert len(valid) == samples == state.next_index == state.received + state.missing
    np.testing.assert_array_equal(out, emg_uv[valid])
    assert (valid.sum(), (~valid).sum()) == (state.received, state.missing)
    assert state.lost == copies.count(0)
    assert state.duplicates == sum(max(0, times - 1) for times in copies)
    assert state.packets == len(packets) - state.lost
    assert state.ended


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 100), st.integers(0, 100))
def test_sequence_and_index_wrap(sequence, index, lost, gap):
    state = StreamState(boot=0, next_sequence=sequence, next_index=index)
    packet = Packet(
        Codec.RAW16,
        Flags.NONE,
        (sequence + lost) & 0xFFFF,
        (index + gap) & 0xFFFFFFFF,
        0,
        np.zeros((5, 16), np.int16),
    )
    after, segment = step(state, packet)
    assert (after.next_sequence, after.next_index) == (sequence + lost + 1, index + gap + 5)
    assert (after.lost, after.missing, segment.samples) == (lost, gap, gap + 5)


@pytest.mark.parametrize("index", [9, 0, 10 + 2**31])
def test_an_index_that_runs_back_is_refused(index):
    _, packets = sent(20, 10)
    state, _ = step(StreamState(), packets[0])
    with pytest.raises(BadPacket, match="10 was next"):
        step(state, packets[1]._replace(first_index=index))


def test_a_jump_ahead_of_more_than_ten_seconds_is_a_lost_source():
    _, packets = sent(20, 10)
    state, _ = step(StreamState(), packets[0])
    longest, _ = step(state, packets[1]._replace(first_index=10 + MAX_GAP_SAMPLES))
    assert longest.missing == MAX_GAP_SAMPLES
    with pytest.raises(SourceLost, match="10 s of the band's samples are missing"):
        step(state, packets[1]._replace(first_index=10 + MAX_GAP_SAMPLES + 1))


def test_a_restart_of_the_band_is_a_lost_source():
    _, packets = sent(20, 10)
    state, _ = step(StreamState(), packets[0])
    with pytest.raises(SourceLost, match="restarted"):
        step(state, packets[1]._replace(boot=9))


started = st.builds(Started, st.just(3), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 30_000), st.integers(0, 2**31 - 1))
def test_after_a_break_in_the_same_boot_the_gap_is_exact(sequence, index, lost, gap):
    state = StreamState(boot=3, next_sequence=sequence, next_index=index, missing=7)
    begun = Started(3, (sequence + lost) & 0xFFFF, (index + gap) & 0xFFFFFFFF)
    after, missing = resume(state, begun)
    assert missing == gap
    assert (after.next_sequence, after.next_index) == (sequence + lost, index + gap)
    assert (after.missing, after.lost) == (7 + gap, lost)


@given(started)
def test_after_a_restart_only_a_clock_knows(begun):
    state = StreamState(boot=2, next_sequence=900, next_index=12_000, missing=7)
    assert resume(state, begun) is None
    after = restart(state, begun)
    assert after.missing == 7
    again, segment = step(
        after,
        Packet(Codec.RAW16, Flags.NONE, begun.sequence, begun.first_index, 3, np.zeros((5, 16), np.int16)),
    )
    assert (segment.missing, again.received, again.lost) == (0, 5, 0)


def test_a_band_whose_numbering_runs_back_has_restarted():
    state = StreamState(boot=2, next_sequence=900, next_index=12_000)
    assert resume(state, Started(2, 901, 11_999)) is None
    assert resume(state, Started(2, 899, 12_000)) is None


def test_what_is_lost_before_the_first_packet_is_missing():
    packet = Packet(Codec.RAW16, Flags.NONE, 12, 1020, 1, np.zeros((5, 16), np.int16))
    state, segment = step(begin(Started(1, 10, 1000)), packet)
    assert (segment.missing, state.lost, state.missing) == (20, 2, 20)
