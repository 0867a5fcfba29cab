"""The C reads and writes the packets that Python does, bit for bit, and refuses what Python refuses."""

from __future__ import annotations

from binascii import crc_hqx

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.samples import ELECTRODES
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import HEADER_BYTES, Codec, Flags, Packet, decode, encode
from tests.mcu.banding import Header, golden

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
NO_SAMPLE = np.zeros((0, ELECTRODES), np.int16)
TAKEN_BY_NOBODY = range(1, 8)  # the verdicts of qwb_packet_decode that refuse
OTHER_CODEC, BAD_PAYLOAD, NO_ROOM = 4, 6, 7


@st.composite
def samples_of(draw, codec, most=40):
    """Counts: smooth ones as muscles give, rough ones, and the ends of the range."""
    top = 2**15 if codec is Codec.RAW16 else 2**11
    shape = (draw(st.integers(1, most)), ELECTRODES)
    size = draw(st.sampled_from([1, 4, 30, 300, top]))
    if draw(st.booleans()):
        return draw(hnp.arrays(np.int16, shape, elements=st.integers(-size, size - 1)))
    rng = np.random.default_rng(draw(u16))
    walk = rng.integers(-top, top, ELECTRODES) + np.cumsum(rng.integers(-size, size + 1, shape), 0)
    return np.clip(walk, -top, top - 1).astype(np.int16)


@st.composite
def packets(draw):
    codec = draw(st.sampled_from(Codec))
    flags = draw(st.sampled_from([Flags.NONE, Flags.OVERFLOW, Flags.END]))
    counts = NO_SAMPLE if flags & Flags.END else draw(samples_of(codec))
    return Packet(codec, flags, draw(u16), draw(u32), draw(u8), counts)


def header_of(packet):
    codec, flags, sequence, first_index, boot, counts = packet
    return Header(codec.value, int(flags), boot, sequence, first_index, counts)


def assert_same(found, packet):
    assert isinstance(found, Header), found
    assert found[:-1] == header_of(packet)[:-1]
    np.testing.assert_array_equal(found.counts, packet.counts)


def resealed(data):
    """With the checksum that its bytes ask for, so that what lies behind it is tried."""
    crc = crc_hqx(data[HEADER_BYTES:], crc_hqx(data[: HEADER_BYTES - 2], 0xFFFF))
    return data[: HEADER_BYTES - 2] + crc.to_bytes(2, "little") + data[HEADER_BYTES:]


def assert_judged_alike(band, data):
    try:
        packet = decode(data)
    except BadPacket:
        assert band.decode(data) in TAKEN_BY_NOBODY
    else:
        assert_same(band.decode(data), packet)


@given(packets())
def test_both_write_the_same_bytes_and_read_them(band, packet):
    data = encode(packet)
    assert band.encode(header_of(packet)) == data
    assert_same(band.decode(data), packet)


@pytest.mark.parametrize(("data", "header"), golden().taken)
def test_the_golden_packets_are_read_and_written(band, data, header):
    found = band.decode(data)
    assert isinstance(found, Header)
    assert found[:-1] == header[:-1]
    np.testing.assert_array_equal(found.counts, header.counts)
    assert band.encode(header) == data


@pytest.mark.parametrize("data", golden().refused)
def test_what_is_golden_to_refuse_is_refused(band, data):
    assert band.decode(data) in TAKEN_BY_NOBODY


@settings(max_examples=300)
@given(packets(), st.data())
def test_both_take_and_refuse_the_same_mutations(band, packet, data):
    wire = bytearray(encode(packet))
    for _ in range(data.draw(st.integers(0, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(0, len(wire) + 3))
    wire = wire[:cut] + bytes(max(0, cut - len(wire)))
    sealed = data.draw(st.booleans()) and len(wire) >= HEADER_BYTES
    assert_judged_alike(band, resealed(bytes(wire)) if sealed else bytes(wire))


@settings(max_examples=300)
@given(u8.map(lambda n: 0x10 | n & 0b11), st.integers(0, 3), st.integers(0, 9), st.binary(max_size=300))
@example(0x12, int(Flags.END), 0, b"\0")
def test_both_judge_any_payload_alike(band, codec, flags, samples, payload):
    head = bytes([codec, flags, 0, 0, 0, 0, 0, 0, samples, 0, 0, 0])
    assert_judged_alike(band, resealed(head + payload))


def refused_by_both(band, data):
    with pytest.raises(BadPacket):
        decode(data)
    return band.decode(data) == BAD_PAYLOAD


def test_a_rice_payload_is_used_up_and_padded_with_zeros(band):
    counts = np.zeros((3, ELECTRODES), np.int16)
    counts[1] = 1  # 2 and 2 bits for the differences +1 and -1, with k = 0 and u = 2 and 1: 3 + 2
    counts[1, 0] = 0
    data = encode(Packet(Codec.RICE12, Flags.NONE, 0, 0, 1, counts))
    assert isinstance(band.decode(data), Header)
    assert data[-1] & 1 == 0
    assert refused_by_both(band, resealed(data[:-1] + bytes([data[-1] | 1])))
    assert refused_by_both(band, resealed(data + b"\0"))
    assert refused_by_both(band, resealed(data[:-1]))


@pytest.mark.parametrize("parameter", range(12, 16))
def test_a_rice_parameter_beyond_11_is_refused(band, parameter):
    data = bytearray(encode(Packet(Codec.RICE12, Flags.NONE, 0, 0, 1, np.zeros((1, ELECTRODES), np.int16))))
    data[HEADER_BYTES] |= parameter << 4
    assert refused_by_both(band, resealed(bytes(data)))


@pytest.mark.parametrize("codec", range(3, 16))
def test_a_codec_of_a_later_version_is_named_so(band, codec):
    data = encode(Packet(Codec.PACK12, Flags.NONE, 0, 0, 1, np.zeros((1, ELECTRODES), np.int16)))
    assert band.decode(resealed(bytes([0x10 | codec]) + data[1:])) == OTHER_CODEC


@given(st.binary(max_size=40))
def test_both_refuse_noise(band, data):
    assert_judged_alike(band, data)


@given(packets(), st.integers(1, 20))
def test_neither_room_nor_range_is_exceeded(band, packet, lack):
    header, length = header_of(packet), len(encode(packet))
    assert band.encode(header, room=length) == encode(packet)
    assert band.encode(header, room=max(0, length - lack)) == b""
    samples = len(packet.counts)
    assert_same(band.decode(encode(packet), room=samples), packet)
    if samples:
        assert band.decode(encode(packet), room=samples - 1) == NO_ROOM
        header.counts[0, 3] = 2048
        assert (band.encode(header) == b"") == (packet.codec is not Codec.RAW16)


@pytest.mark.parametrize("codec", [3, 15])
def test_a_codec_that_is_none_is_not_written(band, codec):
    assert band.encode(Header(codec, 0, 1, 0, 0, np.zeros((1, ELECTRODES), np.int16))) == b""
