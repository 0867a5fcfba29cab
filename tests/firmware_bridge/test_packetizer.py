"""Packets hold every sample that was taken once, in order, and none that was not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from firmware_bridge import rice
from firmware_bridge.packet import Codec, Flags, dequantize, encode, quantize, samples_per_packet
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples
from tests.firmware_bridge.sources import noise_uv


def run(packetizer, emg_uv, valid, cuts):
    state, packets = PacketizerState(), []
    for start, stop in zip([0, *cuts], [*cuts, len(emg_uv)], strict=True):
        state, more = packetizer.step(state, emg_uv[start:stop], valid[start:stop])
        packets += more
    return packets + packetizer.end(state)


@given(hnp.arrays(np.bool_, st.integers(0, 200)), st.integers(1, 21), st.data())
def test_packets_hold_the_valid_samples_and_chunk_sizes_change_nothing(valid, samples, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(valid)), max_size=5)))
    emg_uv = noise_uv(len(valid))[:, 0]
    packetizer = Packetizer(Codec.PACK12, samples)
    packets = run(packetizer, emg_uv, valid, cuts)
    whole = run(packetizer, emg_uv, valid, [])
    assert [(p.sequence, p.first_index, len(p.counts)) for p in packets] == [
        (p.sequence, p.first_index, len(p.counts)) for p in whole
    ]
    held = np.zeros(len(valid), np.bool_)
    for packet in packets:
        span = slice(packet.first_index, packet.first_index + len(packet.counts))
        assert not held[span].any()
        held[span] = True
        assert np.abs(dequantize(packet.counts, Codec.PACK12) - emg_uv[span]).max(initial=0) <= 1.6001
    np.testing.assert_array_equal(held, valid)
    assert [p.sequence for p in packets] == list(range(len(packets)))
    assert [p.flags for p in packets] == [Flags.NONE] * (len(packets) - 1) + [Flags.END]
    assert packets[-1].first_index == len(valid)


@given(st.sampled_from([Codec.RAW16, Codec.PACK12]), st.integers(23, 517))
def test_a_packet_is_out_of_step_with_the_radio_and_nearly_full(codec, mtu):
    fit, samples = samples_per_packet(codec, mtu), packet_samples(codec, mtu)
    assert samples <= fit
    assert samples >= 0.7 * fit
    if fit < 7:
        assert samples == fit
    else:
        assert all(samples % factor for factor in (2, 3, 5))


def test_packet_lengths_are_those_of_the_specification():
    assert [packet_samples(codec, mtu) for mtu in (517, 247) for codec in Codec] == [13, 19, 31, 7, 7, 31]


@settings(max_examples=40)
@given(st.integers(39, 600), st.floats(0.1, 3000), st.data())
def test_a_rice_packet_takes_what_fits_and_chunk_sizes_change_nothing(mtu, rms_uv, data):
    emg_uv = np.random.default_rng(0).normal(0, rms_uv, (120, 16)).astype(np.float32)
    valid = np.ones(len(emg_uv), np.bool_)
    packetizer = Packetizer.for_mtu(Codec.RICE12, mtu)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(valid)), max_size=5)))
    packets = run(packetizer, emg_uv, valid, cuts)
    whole = [encode(packet) for packet in run(packetizer, emg_uv, valid, [])]
    assert [encode(packet) for packet in packets] == whole
    assert {packet.codec for packet in packets} <= {Codec.RICE12, Codec.PACK12}
    counts = np.concatenate([packet.counts for packet in packets])
    np.testing.assert_array_equal(counts, quantize(emg_uv, Codec.PACK12))
    room = min(mtu - 3, 512)
    for packet, wire, after in zip(packets[:-2], whole, packets[1:], strict=False):
        assert len(wire) <= room
        more = np.concatenate([packet.counts, after.counts[:1]])
        assert len(packet.counts) == 31 or min(rice.sizes(more)[-1], 24 * len(more)) > room - 12
        assert (packet.codec is Codec.RICE12) == (len(rice.encode(packet.counts)) < 24 * len(packet.counts))


@given(st.permutations(list(Codec)), st.integers(0, 2**32), st.integers(0, 2**16), st.integers(0, 90))
def test_numbering_runs_on_from_codec_to_codec(codecs, index, sequence, samples):
    """As over a step-down, a STOP and START, or another connection within a boot."""
    emg_uv = noise_uv(3 * samples)[:, 0]
    state, packets = PacketizerState(next_index=index, next_sequence=sequence), []
    for codec, part in zip(codecs, np.split(emg_uv, 3), strict=True):
        packetizer = Packetizer.for_mtu(codec, 247)
        state, full = packetizer.step(state, part, np.ones(samples, np.bool_))
        state, begun = packetizer.flush(state)
        packets += full + begun
    assert state == PacketizerState(state.counts, index + 3 * samples, sequence + len(packets))
    assert len(state.counts) == 0
    assert [packet.sequence for packet in packets] == list(range(sequence, sequence + len(packets)))
    sent_uv = [dequantize(packet.counts, packet.codec) for packet in packets]
    for packet, values in zip(packets, sent_uv, strict=True):
        taken_uv = emg_uv[packet.first_index - index :][: len(values)]
        assert np.abs(values - taken_uv).max() <= packet.codec.gain_uv_per_lsb / 2 + 1e-3
    assert sum(map(len, sent_uv)) == 3 * samples


def test_all_packets_but_the_last_of_a_run_are_full():
    packets = run(Packetizer(Codec.RAW16, 15), noise_uv(100)[:, 0], np.ones(100, np.bool_), [7, 50])
    assert [len(p.counts) for p in packets] == [15] * 6 + [10, 0]
