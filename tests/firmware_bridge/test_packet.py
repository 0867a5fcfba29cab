"""Every packet decodes alone, exactly, or is refused by name."""

from __future__ import annotations

import json
from binascii import crc_hqx
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.errors import BadInput
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import (
    HEADER_BYTES,
    Codec,
    Flags,
    Packet,
    decode,
    dequantize,
    encode,
    minimum_mtu,
    quantize,
    samples_per_packet,
)

codecs = st.sampled_from(Codec)
VECTORS = json.loads((Path(__file__).parent / "golden" / "packets.json").read_text())
SPECIFICATION = Path(__file__).resolve().parents[2] / "docs" / "formats" / "packet.md"


@st.composite
def packets(draw):
    codec = draw(codecs)
    top = 1 << (codec.bits - 1)
    samples = draw(st.integers(0, 20))
    counts = draw(hnp.arrays(np.int16, (samples, 16), elements=st.integers(-top, top - 1)))
    return Packet(
        codec,
        Flags.NONE if samples else Flags.END,
        draw(st.integers(0, 0xFFFF)),
        draw(st.integers(0, 0xFFFFFFFF)),
        draw(st.integers(0, 0xFF)),
        counts,
    )


@given(packets())
def test_what_was_encoded_is_decoded(packet):
    decoded = decode(encode(packet))
    np.testing.assert_array_equal(decoded.counts, packet.counts)
    assert decoded._replace(counts=None) == packet._replace(counts=None)
    if packet.codec is not Codec.RICE12:
        assert len(encode(packet)) == HEADER_BYTES + len(packet.counts) * packet.codec.sample_bytes


@given(codecs, st.integers(21, 255), st.integers(0, 2**32 - 1))
def test_a_packet_holds_up_to_255_samples_of_anything(codec, samples, seed):
    top = 1 << (codec.bits - 1)
    counts = np.random.default_rng(seed).integers(-top, top, (samples, 16)).astype(np.int16)
    decoded = decode(encode(Packet(codec, Flags.NONE, 0, 0, 0, counts)))
    np.testing.assert_array_equal(decoded.counts, counts)


@given(packets(), st.data())
def test_any_flipped_bit_is_refused(packet, data):
    damaged = bytearray(encode(packet))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadPacket):
        decode(bytes(damaged))


@settings(max_examples=30)
@given(packets())
def test_any_other_length_is_refused(packet):
    whole = encode(packet)
    for cut in range(len(whole)):
        with pytest.raises(BadPacket):
            decode(whole[:cut])
    with pytest.raises(BadPacket):
        decode(whole + b"\0")


@given(packets(), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4), st.data())
def test_what_is_malformed_behind_a_right_checksum_is_refused_or_read(packet, changes, data):
    damaged = bytearray(encode(packet))
    for place, value in changes:
        damaged[place % len(damaged)] = value
    damaged = damaged[: data.draw(st.integers(HEADER_BYTES, len(damaged)))]
    damaged[10:12] = crc_hqx(damaged[12:], crc_hqx(damaged[:10], 0xFFFF)).to_bytes(2, "little")
    with suppress(BadPacket):
        assert len(decode(bytes(damaged)).counts) == damaged[8]


@given(st.binary(max_size=64))
def test_noise_is_refused_and_nothing_else_happens(data):
    with pytest.raises(BadPacket):
        decode(data)


GOLDEN = Packet(Codec.PACK12, Flags.NONE, 0x1234, 0xDEADBEEF, 7, np.arange(-8, 8, dtype=np.int16)[None])


def test_the_layout_is_the_documented_one():
    assert encode(GOLDEN).hex(" ") == (
        "11 00 34 12 ef be ad de 01 07 50 a4 "  # header; the CRC by a bitwise CRC-16/IBM-3740
        "f8 9f ff fa bf ff fc df ff fe ff ff 00 10 00 02 30 00 04 50 00 06 70 00"
    )


@pytest.mark.parametrize("vector", VECTORS["packets"], ids=lambda vector: vector["what"])
def test_golden_packets_are_read_and_written(vector):
    data = bytes.fromhex(vector["hex"])
    packet = decode(data)
    assert packet.codec.name.lower() == vector["codec"]
    assert packet[1:5] == (vector["flags"], vector["sequence"], vector["first_index"], vector["boot"])
    assert packet.counts.tolist() == vector["counts"]
    assert encode(packet) == data


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["what"])
def test_golden_faults_are_refused_by_name(vector):
    with pytest.raises(BadPacket, match=vector["says"]):
        decode(bytes.fromhex(vector["hex"]))


def test_the_examples_of_the_specification_are_golden():
    examples = [vector for vector in VECTORS["packets"] if "the specification's example" in vector["what"]]
    text = SPECIFICATION.read_text()
    assert len(examples) == 3
    for vector in examples:
        spaced = bytes.fromhex(vector["hex"]).hex(" ")
        assert f"    {spaced[:35]}\n    {spaced[36:]}\n" in text


def test_sequence_and_index_wrap_to_their_widths():
    decoded = decode(encode(GOLDEN._replace(sequence=0x1_0002, first_index=0x1_0000_0003)))
    assert (decoded.sequence, decoded.first_index) == (2, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples": 0}, "only the end has none"),
        ({"flags": Flags.END}, "only the end has none"),
    ],
)
def test_a_sample_count_that_contradicts_the_flags_is_named(change, says):
    packet = GOLDEN._replace(flags=change.get("flags", Flags.NONE))
    if "samples" in change:
        packet = packet._replace(counts=GOLDEN.counts[:0])
    with pytest.raises(BadPacket, match=says):
        decode(encode(packet))


def test_another_protocol_is_named():
    data = bytes([0x21]) + encode(GOLDEN)[1:]
    with pytest.raises(BadPacket, match="protocol 2; this version of qwrist speaks 1"):
        decode(data)


@given(codecs, hnp.arrays(np.float32, (5, 16), elements=st.floats(-6500, 6500, width=32)))
def test_quantizing_errs_by_half_a_count_at_most(codec, emg_uv):
    error_uv = np.abs(dequantize(quantize(emg_uv, codec), codec) - emg_uv)
    assert error_uv.max() <= codec.gain_uv_per_lsb / 2 + 1e-3  # float32 near 6500


@given(codecs, st.floats(6554, 1e9, width=32), st.sampled_from([-1, 1]))
def test_what_is_out_of_range_saturates(codec, size, sign):
    counts = quantize(np.full((1, 16), sign * size, np.float32), codec)
    top = 1 << (codec.bits - 1)
    assert (counts == (top - 1 if sign > 0 else -top)).all()


def test_a_nan_is_refused():
    with pytest.raises(BadInput, match="not a finite number"):
        quantize(np.full((1, 16), np.nan, np.float32), Codec.RAW16)


@given(codecs, st.integers(23, 600))
def test_a_full_packet_fits_the_mtu_and_one_more_sample_would_not(codec, mtu):
    samples = samples_per_packet(codec, mtu)
    room = min(mtu - 3, 512)
    assert HEADER_BYTES + (samples + 1) * codec.sample_bytes > room
    assert samples == 0 or HEADER_BYTES + samples * codec.sample_bytes <= room
    assert (samples > 0) == (mtu >= minimum_mtu(codec))
