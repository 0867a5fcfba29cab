"""The C fills the very packets of the reference packetizer, whatever is sampled, missing or negotiated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import ELECTRODES
from firmware_bridge.packet import MAX_VALUE_BYTES, Codec, decode, encode
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples
from tests.mcu.banding import Link, Traits, boot, connect, count_from, microvolts, twelve_bits
from tests.mcu.signals import real_scene, typing_scene

UV_PER_COUNT = 0.2
U8, U16, U32 = 2**8 - 1, 2**16 - 1, 2**32 - 1


def config(codec, accepted=frozenset(Codec), number=1):
    mask = sum(1 << codec.value for codec in accepted)
    return bytes([3, number, codec.value, mask]) + (2000).to_bytes(2, "little")


def start(band, codec, mtu, *, number=7, accepted=frozenset(Codec), index=0, sequence=0):
    """A band of that boot, connected, configured and started."""
    band.tell(boot(Traits(boot=number)) + connect(Link(mtu=mtu)) + count_from(index, sequence))
    assert band.control(config(codec, accepted)).data[2] == 0
    return band.control(b"\x01\x02").data


def reference(codec, mtu, number, state, counts, valid):
    """The bytes of the reference packetizer, and of what it has left when the stream ends in a gap."""
    packetizer = Packetizer(codec, packet_samples(codec, mtu), number, min(mtu - 3, MAX_VALUE_BYTES))
    state, packets = packetizer.step(state, microvolts(counts, codec), valid)
    return [encode(packet) for packet in [*packets, *packetizer.end(state)[:-1]]]


def fed(band, counts, valid):
    """The packets of the C: samples pushed run by run, missing ones skipped."""
    packets = []
    edges = [0, *(np.flatnonzero(np.diff(valid)) + 1).tolist(), len(valid)]
    for begin, end in itertools.pairwise(edges):
        if end > begin:
            packets += band.push(counts[begin:end]) if valid[begin] else band.skip(end - begin)
    return packets + band.skip(1)


@st.composite
def streams(draw):
    """Counts of 0.2 microvolts that shrink and swell, and a few gaps."""
    rng = np.random.default_rng(draw(st.integers(0, U16)))
    samples = draw(st.integers(1, 150))
    size = np.float64(draw(st.sampled_from([3, 30, 300, 3000, 40000])))
    envelope = size * np.exp2(rng.integers(-3, 3, samples))[:, None]
    wave = np.cumsum(rng.normal(0, 1, (samples, ELECTRODES)), 0) if draw(st.booleans()) else 1
    counts = np.clip(envelope * rng.normal(0, 1, (samples, ELECTRODES)) * wave, -(2**15), 2**15 - 1)
    valid = np.ones(samples, np.bool_)
    for gap in draw(st.lists(st.integers(0, samples - 1), max_size=3)):
        valid[gap : gap + draw(st.integers(1, 9))] = False
    return counts.astype(np.int16), valid


@settings(max_examples=150)
@given(
    streams(),
    st.sampled_from(Codec),
    st.integers(47, 560),
    st.integers(0, U8),
    st.tuples(st.sampled_from([0, 1000, U32 - 20]), st.sampled_from([0, U16 - 2])),
)
def test_its_packets_are_those_of_the_reference(band, stream, codec, mtu, number, numbering):
    (counts, valid), (index, sequence) = stream, numbering
    start(band, codec, mtu, number=number, index=index, sequence=sequence)
    state = PacketizerState(next_index=index, next_sequence=sequence)
    expected = reference(codec, mtu, number, state, counts, valid)
    found = fed(band, counts, valid)
    assert found == expected
    assert all(len(packet) <= mtu - 3 for packet in found)
    assert sum(len(decode(packet).counts) for packet in found) == valid.sum()


@pytest.mark.parametrize("mtu", [47, 185, 247, 517])
@pytest.mark.parametrize("codec", Codec)
def test_typing_gives_the_packets_of_the_reference(band, codec, mtu):
    emg_uv = typing_scene(seconds=1.0).emg_uv[:, 0]
    counts = np.clip(np.rint(emg_uv / UV_PER_COUNT), -(2**15), 2**15 - 1).astype(np.int16)
    start(band, codec, mtu)
    found = fed(band, counts, np.ones(len(counts), np.bool_))
    assert found == reference(codec, mtu, 7, PacketizerState(), counts, np.ones(len(counts), np.bool_))
    said = {decode(packet).codec for packet in found}
    assert said == {codec} or (codec is Codec.RICE12 and said <= {Codec.PACK12, Codec.RICE12})


@pytest.mark.parametrize("codec", Codec)
def test_real_recordings_give_the_packets_of_the_reference(band, codec):
    emg_uv = real_scene().emg_uv[:1000, 0]
    counts = np.clip(np.rint(emg_uv / UV_PER_COUNT), -(2**15), 2**15 - 1).astype(np.int16)
    start(band, codec, 247)
    valid = np.ones(len(counts), np.bool_)
    assert fed(band, counts, valid) == reference(codec, 247, 7, PacketizerState(), counts, valid)


@pytest.mark.parametrize(("step", "codec"), [(32, Codec.PACK12), (31, Codec.RICE12)])
def test_rice_gives_way_where_it_saves_nothing(band, step, codec):
    """A step of 32 counts takes 8 bits: with the heads 48 bytes for two samples, and so does pack12."""
    start(band, Codec.RICE12, 247)
    counts = np.array([[0], [16 * step]], np.int16).repeat(ELECTRODES, 1)
    counts[1, : 7 if step == 31 else 0] = 0
    (packet,) = fed(band, counts, np.ones(2, np.bool_))
    assert decode(packet).codec is codec
    assert encode(decode(packet)) == packet


def test_every_count_becomes_the_nearest_of_twelve_bits(band):
    counts = np.arange(-(2**15), 2**15).astype(np.int16).reshape(-1, ELECTRODES)
    start(band, Codec.PACK12, 517)
    found = np.concatenate([decode(packet).counts for packet in band.push(counts) + band.skip(1)])
    np.testing.assert_array_equal(found, twelve_bits(counts.astype(np.int32)))


@given(st.sampled_from(Codec), st.integers(0, 600))
def test_a_stream_starts_where_a_sample_fits_and_not_elsewhere(band, codec, mtu):
    band.tell(boot(Traits()) + connect(Link(mtu=mtu)))
    band.control(config(codec))
    result = band.control(b"\x01\x02").data[2]
    assert result == (0 if packet_samples(codec, mtu) else 2)
    found = band.push(np.zeros((40, ELECTRODES), np.int16))
    assert bool(found) == (result == 0)
    assert all(len(packet) <= mtu - 3 for packet in found)


def test_a_gap_of_no_sample_is_none(band):
    start(band, Codec.RAW16, 517)
    assert band.push(np.zeros((5, ELECTRODES), np.int16)) == []
    assert band.skip(0) == []
    assert len(decode(band.skip(1)[0]).counts) == 5


def test_a_link_that_carries_no_sample_any_more_ends_the_stream(band):
    start(band, Codec.RAW16, 517)
    band.tell(connect(Link(mtu=23)))
    assert band.push(np.zeros((100, ELECTRODES), np.int16)) == []
    assert band.status()[1][21] == 0
