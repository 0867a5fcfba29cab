"""Two bands on one grid: everything emitted once, missing samples declared, times rising."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import SIDES
from firmware_bridge.align import CHUNK_SAMPLES, Aligner
from firmware_bridge.packet import Codec, dequantize
from firmware_bridge.packetizer import Packetizer, PacketizerState
from firmware_bridge.stream import StreamState, step
from tests.firmware_bridge.sources import noise_uv


def packets_of(emg_uv, per_packet):
    packetizer = Packetizer(Codec.RAW16, per_packet)
    state, packets = packetizer.step(PacketizerState(), emg_uv, np.ones(len(emg_uv), np.bool_))
    return packets + packetizer.end(state)


def run(aligner, deliveries):
    """Feed (arrival, wrist, packet) in order; give the chunks, the streams' states and the aligner's."""
    state = aligner.initial_state()
    streams = [StreamState(), StreamState()]
    chunks = []
    for at_s, wrist, packet in deliveries:
        streams[wrist], segment = step(streams[wrist], packet)
        if segment.samples:
            state = aligner.push(state, wrist, segment, streams[wrist].next_index, at_s)
        if streams[wrist].ended:
            state = aligner.end(state, wrist)
        chunk = aligner.pull(state)
        while chunk[1] is not None:
            state = chunk[0]
            chunks.append(chunk[1])
            chunk = aligner.pull(state)
    return chunks, streams, state


def deliveries(emg_uv, wrist, per_packet, *, start_s=0.0, ppm=0.0, lost=frozenset()):
    packets = packets_of(emg_uv[:, wrist], per_packet)
    for i, packet in enumerate(packets):
        at_s = start_s + (packet.first_index + len(packet.counts)) / 2000 * (1 + ppm * 1e-6)
        if i not in lost:
            yield at_s, wrist, packet


def both(emg_uv, left, right, per_packet=(20, 20)):
    lanes = [
        *deliveries(emg_uv, 0, per_packet[0], **left),
        *deliveries(emg_uv, 1, per_packet[1], **right),
    ]
    return sorted(lanes, key=lambda item: item[0])


def joined(chunks):
    return tuple(np.concatenate([getattr(c, name) for c in chunks]) for name in ("time_s", "emg_uv", "valid"))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5000),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.data(),
)
def test_emitted_plus_missing_is_sent_on_both_bands(samples, per_packet, data):
    emg_uv = noise_uv(samples)
    lost = [
        data.draw(st.frozensets(st.integers(0, (samples - 1) // n), max_size=20)) for n in per_packet
    ]  # never the end
    offset_s = data.draw(st.floats(-0.2, 0.2))
    fed = both(emg_uv, {"lost": lost[0]}, {"lost": lost[1], "start_s": offset_s}, per_packet)
    chunks, streams, state = run(Aligner(), fed)
    time_s, _, valid = joined(chunks)
    assert [c.first_index for c in chunks] == np.cumsum([0, *[len(c.time_s) for c in chunks]])[:-1].tolist()
    assert max(len(c.time_s) for c in chunks) <= CHUNK_SAMPLES
    assert (np.diff(time_s) > 0).all()
    for wrist in range(2):
        stream = streams[wrist]
        assert stream.received + stream.missing == samples
        assert valid[:, wrist].sum() == stream.received + state.lanes[wrist].repeated
        assert state.lanes[wrist].samples == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 20), st.floats(0, 1e6))
def test_bands_that_start_together_are_aligned_to_the_sample(samples, per_packet, start_s):
    emg_uv = noise_uv(samples)
    fed = both(emg_uv, {"start_s": start_s}, {"start_s": start_s}, (per_packet, per_packet))
    time_s, out, valid = joined(run(Aligner(), fed)[0])
    assert np.abs(out - emg_uv).max() <= 0.1001
    assert valid.all()
    np.testing.assert_allclose(time_s, start_s + np.arange(samples) / 2000, rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset_ms", [-120, -3, 3, 120])
def test_a_band_that_starts_later_is_put_later(offset_ms):
    emg_uv = noise_uv(6000)
    fed = both(emg_uv, {}, {"start_s": offset_ms / 1000})
    _, out, valid = joined(run(Aligner(), fed)[0])
    shift = abs(offset_ms) * 2
    early, late = (0, 1) if offset_ms > 0 else (1, 0)
    assert not valid[:shift, late].any()
    assert valid[shift:6000].all()
    assert np.abs(out[:6000, early] - emg_uv[:, early]).max() <= 0.1001
    assert np.abs(out[shift:, late] - emg_uv[: len(out) - shift, late]).max() <= 0.1001


@settings(max_examples=20, deadline=None)
@given(st.integers(4000, 6000), st.floats(-1.5, 1.5), st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_bands_that_begin_together_miss_nothing_of_what_came_before(samples, offset_s, per_packet):
    emg_uv = noise_uv(samples)
    fed = both(emg_uv, {}, {"start_s": offset_s}, per_packet)
    chunks, _, state = run(Aligner(together=True), fed)
    time_s, out, valid = joined(chunks)
    early, late = (0, 1) if offset_s > 0 else (1, 0)
    left_out = -state.lanes[early].shift
    assert abs(left_out - abs(offset_s) * 2000) <= 1
    assert chunks[0].first_index == 0
    assert (np.diff(time_s) > 0).all()
    rest = samples - left_out
    assert valid[:rest].all(), "from where both have begun nothing is missing"
    assert valid[:, early].sum() + left_out == samples, "only what came before is left out"
    assert valid[:, late].sum() == samples
    assert np.abs(out[:rest, early] - emg_uv[left_out:, early]).max() <= 0.1001
    assert np.abs(out[:samples, late] - emg_uv[:, late]).max() <= 0.1001


def test_crystals_that_differ_stay_within_a_millisecond_and_a_half():
    """Impulses every 100 ms of true time, on bands 200 ppm apart, for 2 minutes: 24 ms uncorrected."""
    true_s = np.arange(0.5, 119, 0.1)
    emg_uv = np.zeros((240_000, 2, 16), np.float32)
    ppm = (100.0, -100.0)
    for wrist in range(2):
        emg_uv[(true_s / (1 + ppm[wrist] * 1e-6) * 2000).round().astype(int), wrist] = 1000.0
    fed = both(emg_uv, {"ppm": ppm[0]}, {"ppm": ppm[1]})
    chunks, _, state = run(Aligner(), fed)
    time_s, out, _ = joined(chunks)
    onsets = [np.flatnonzero(np.diff(out[:, wrist, 0]) > 500) + 1 for wrist in range(2)]
    assert len(onsets[0]) == len(onsets[1]) == len(true_s)
    assert np.abs(onsets[0] - onsets[1]).max() <= 3
    assert np.abs(time_s[onsets[0]] - true_s).max() < 0.002
    assert sum(lane.repeated for lane in state.lanes) >= 40


@pytest.mark.parametrize("side", SIDES)
def test_one_band_alone_leaves_the_other_invalid(side):
    wrist = SIDES.index(side)
    emg_uv = noise_uv(3000)
    _, out, valid = joined(run(Aligner((side,)), deliveries(emg_uv, wrist, 15))[0])
    assert valid[:, wrist].all()
    assert not valid[:, 1 - wrist].any()
    assert not out[:, 1 - wrist].any()
    assert np.abs(out[:, wrist] - emg_uv[:, wrist]).max() <= 0.1001


def test_a_band_that_ends_early_is_missing_from_then_on():
    emg_uv = noise_uv(4000)
    fed = [*deliveries(emg_uv, 0, 20), *deliveries(emg_uv[:3000], 1, 20)]
    _, out, valid = joined(run(Aligner(), sorted(fed, key=lambda item: item[0]))[0])
    assert valid[:, 0].all()
    assert valid[:, 1].tolist() == [True] * 3000 + [False] * 1000
    np.testing.assert_array_equal(out[3000:, 1], np.repeat(out[2999:3000, 1], 1000, 0))


@pytest.mark.parametrize("side", SIDES)
def test_times_are_those_of_the_band_that_sent(side):
    """Where the other never sends, the flush of a lost source still knows when its samples were taken."""
    wrist = SIDES.index(side)
    silent = 1 - wrist
    fed = list(deliveries(noise_uv(500), wrist, 20, start_s=1e9))
    aligner = Aligner()
    _, _, state = run(aligner, fed)
    _, chunk = aligner.pull(aligner.end(state, silent))
    assert chunk is not None
    np.testing.assert_allclose(chunk.time_s, 1e9 + np.arange(64) / 2000, rtol=0, atol=1e-6)


def test_nothing_is_emitted_before_a_second_of_each_band():
    aligner = Aligner()
    state = aligner.initial_state()
    assert aligner.pull(aligner.end(state, 0))[1] is None
    emg_uv = noise_uv(1980)
    fed = [item for item in both(emg_uv, {}, {}) if len(item[2].counts)]
    assert run(aligner, fed)[0] == []


def test_a_chunk_waits_for_no_more_than_both_bands():
    """A live reader gets each packet as soon as its neighbour's is there: 20 samples, 10 ms."""
    chunks, _, _ = run(Aligner(), both(noise_uv(8000), {}, {}))
    late = [len(c.time_s) for c in chunks if c.first_index > 4000]
    assert set(late) == {20}


def test_dequantizing_is_what_the_bounds_above_assume():
    assert dequantize(np.ones((1, 16), np.int16), Codec.RAW16)[0, 0] == np.float32(0.2)
