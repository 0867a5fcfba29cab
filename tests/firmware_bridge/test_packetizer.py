"""Packets hold every sample that was taken once, in order, and none that was not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from firmware_bridge.packet import Codec, Flags, dequantize, samples_per_packet
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


@given(st.sampled_from(Codec), st.integers(23, 517))
def test_a_packet_is_out_of_step_with_the_radio_and_nearly_full(codec, mtu):
    fit, samples = samples_per_packet(codec, mtu), packet_samples(codec, mtu)
    assert samples <= fit
    assert samples >= 0.7 * fit
    if fit < 7:
        assert samples == fit
    else:
        assert all(samples % factor for factor in (2, 3, 5))


def test_packet_lengths_are_those_of_the_specification():
    assert [packet_samples(codec, mtu) for mtu in (517, 247) for codec in Codec] == [13, 19, 7, 7]


def test_all_packets_but_the_last_of_a_run_are_full():
    packets = run(Packetizer(Codec.RAW16, 15), noise_uv(100)[:, 0], np.ones(100, np.bool_), [7, 50])
    assert [len(p.counts) for p in packets] == [15] * 6 + [10, 0]
