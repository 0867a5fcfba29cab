"""RICE12 loses nothing, and a payload that is not exactly one is refused."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from firmware_bridge import rice
from firmware_bridge.errors import BadPacket

counts_of_any_size = st.tuples(st.integers(1, 255), st.integers(0, 2**32 - 1), st.integers(0, 11)).map(
    lambda drawn: (
        np.random.default_rng(drawn[1])
        .integers(-(1 << drawn[2]), 1 << drawn[2], (drawn[0], 16))
        .astype(np.int16)
    )
)
wild_counts = hnp.arrays(
    np.int16, st.tuples(st.integers(1, 8), st.just(16)), elements=st.integers(-2048, 2047)
)


@given(counts_of_any_size | wild_counts)
def test_what_was_encoded_is_decoded_and_as_long_as_was_said(counts):
    payload = rice.encode(counts)
    np.testing.assert_array_equal(rice.decode(payload, len(counts)), counts)
    assert rice.sizes(counts)[-1] == len(payload)


@given(wild_counts)
def test_sizes_are_those_of_each_beginning(counts):
    assert rice.sizes(counts).tolist() == [
        len(rice.encode(counts[:samples])) for samples in range(1, len(counts) + 1)
    ]


@given(wild_counts, st.integers(1, 40))
def test_another_length_is_refused(counts, cut):
    payload = rice.encode(counts)
    with pytest.raises(BadPacket, match="are left after"):
        rice.decode(payload + b"\0", len(counts))
    with pytest.raises(BadPacket):
        rice.decode(payload[: max(0, len(payload) - cut)], len(counts))


@given(st.binary(max_size=300), st.integers(1, 255))
def test_other_bytes_are_refused_and_raise_nothing_else(payload, samples):
    with suppress(BadPacket):
        assert rice.decode(payload, samples).shape == (samples, 16)


def test_the_bits_are_those_of_the_specification():
    counts = np.zeros((4, 16), np.int16)
    counts[:, 0] = [5, 6, 4, 4]  # differences 1, -2, 0: zigzag 2, 3, 0; with k = 1 10 0, 10 1, 0 0
    counts[:, 1] = [-2048, 2047, -2048, 0]  # -1, 1, -2048: zigzag 1, 2, 4095; k = 0 takes an escape
    bits = "0000" + format(5, "012b") + "110" + "1110" + "0"  # k = 0 takes 8 bits, k = 1 takes 8: the least
    bits += "0000" + format(2048, "012b") + "10" + "110" + "1" * 16 + "1" * 12
    bits += ("0000" + "0" * 12 + "000") * 14
    bits += "0" * (-len(bits) % 8)
    assert rice.encode(counts) == int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xc0" + bytes(31), "parameter 12; 11 is the largest"),
        (bytes(31) + b"\x01", None),
        (bytes(33), "8 bits are left"),
        (bytes(31), "end before"),
    ],
)
def test_each_fault_is_named(payload, reason):
    if reason is None:
        assert rice.decode(payload, 1)[0, 15] == 1
        return
    with pytest.raises(BadPacket, match=reason):
        rice.decode(payload, 1)


def test_padding_that_is_not_zero_is_refused():
    payload = rice.encode(np.zeros((2, 16), np.int16))  # 16 * 17 bits: whole bytes
    odd = rice.encode(np.zeros((3, 16), np.int16))  # 16 * 18
    assert len(payload) == 34 and len(odd) == 36
    counts = np.zeros((2, 16), np.int16)
    counts[1, 0] = -1  # zigzag 1: one bit more, seven of padding
    padded = bytearray(rice.encode(counts))
    padded[-1] |= 1
    with pytest.raises(BadPacket, match="are left after"):
        rice.decode(bytes(padded), 2)
