"""Received + missing == sent, exactly, whatever is lost or repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import SourceLost
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Codec, Flags, Packet, dequantize
from firmware_bridge.packetizer import Packetizer, PacketizerState
from firmware_bridge.stream import MAX_GAP_SAMPLES, StreamState, step


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
            valid.append(segment.valid)
    out, valid = np.concatenate(out), np.concatenate(valid)
    assert len(out) == samples == state.next_index == state.received + state.missing
    np.testing.assert_array_equal(out[valid], emg_uv[valid])
    assert (valid.sum(), (~valid).sum()) == (state.received, state.missing)
    assert state.lost == copies.count(0)
    assert state.duplicates == sum(max(0, times - 1) for times in copies)
    assert state.packets == len(packets) - state.lost
    assert state.ended


def test_a_missing_sample_holds_the_last_value():
    emg_uv, packets = sent(30, 10)
    state, _ = step(StreamState(), packets[0])
    _, second = step(state, packets[2])
    np.testing.assert_array_equal(second.emg_uv[:10], np.repeat(emg_uv[9:10], 10, 0))
    assert second.valid.tolist() == [False] * 10 + [True] * 10


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
    assert (after.lost, after.missing, len(segment.valid)) == (lost, gap, gap + 5)


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
