"""What is asked of a band and what it answers survive the way; anything else is refused by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.samples import ELECTRODES
from firmware_bridge.control import (
    Config,
    Configured,
    Identify,
    Impedances,
    MeasureImpedance,
    Ping,
    Pinged,
    RefusedRequest,
    Request,
    Result,
    Start,
    Started,
    Stop,
    decode_answer,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    opcode_of,
)
from firmware_bridge.errors import BadPacket
from firmware_bridge.packet import Codec

codecs = st.sampled_from(Codec)
u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
kohm = st.one_of(st.integers(0, 0xFFFE).map(lambda steps: round(steps / 10, 1)), st.just(float("inf")))
operations = st.one_of(
    st.just(Start()),
    st.just(Stop()),
    st.builds(Config, codecs, st.frozensets(codecs, min_size=1), u16),
    st.just(Ping()),
    st.just(MeasureImpedance()),
    st.builds(Identify, u8),
)
answers = st.one_of(
    st.tuples(st.just(Start()), st.builds(Started, u8, u16, u32)),
    st.tuples(st.just(Config(Codec.RAW16, frozenset(Codec), 2000)), st.builds(Configured, codecs, u16)),
    st.tuples(st.just(Ping()), st.builds(Pinged, u8, u32)),
    st.tuples(
        st.just(MeasureImpedance()),
        st.builds(Impedances, st.lists(kohm, min_size=ELECTRODES, max_size=ELECTRODES).map(tuple)),
    ),
    st.tuples(st.sampled_from([Stop(), Identify(3)]), st.none()),
)


@given(u8, operations)
def test_a_request_survives(number, operation):
    request = decode_request(encode_request(Request(number, operation)))
    assert request == (number, operation)
    assert type(request.operation) is type(operation)


@given(answers, u8)
def test_an_answer_survives(asked, number):
    operation, answer = asked
    data = encode_request(Request(number, operation))
    response = decode_response(encode_response(data, Result.OK, answer))
    assert response[:3] == (opcode_of(operation), number, Result.OK)
    assert decode_answer(operation, response.data) == answer


@pytest.mark.parametrize("data", [b"", b"\x01"])
def test_what_is_too_short_to_be_answered_is_refused(data):
    with pytest.raises(BadPacket, match="no control request"):
        decode_request(data)


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"\x00\x01", Result.UNSUPPORTED),
        (b"\x07\x01", Result.UNSUPPORTED),
        (b"\x01\x01\x00", Result.BAD_ARGUMENT),
        (b"\x03\x01\x00\x01", Result.BAD_ARGUMENT),
        (b"\x06\x01", Result.BAD_ARGUMENT),
    ],
)
def test_a_request_that_cannot_be_met_is_answered(data, result):
    with pytest.raises(RefusedRequest) as refused:
        decode_request(data)
    assert refused.value.result is result
    assert decode_response(encode_response(data, result))[:3] == (data[0], data[1], result)


@pytest.mark.parametrize("result", [4, 255])
def test_a_result_that_is_newer_than_the_host_is_a_no(result):
    assert decode_response(bytes([0x81, 9, result])) == (1, 9, Result.UNSUPPORTED, b"")


@given(st.binary(max_size=40), operations)
def test_other_bytes_are_refused_and_raise_nothing_else(data, operation):
    for read in (decode_request, decode_response, lambda data: decode_answer(operation, data)):
        with suppress(BadPacket):
            read(data)


def test_a_codec_of_a_later_version_is_left_to_the_band():
    data = bytes([3, 9, 15, 0b1000_0011]) + (2000).to_bytes(2, "little")
    assert decode_request(data) == (9, Config(None, frozenset([Codec.RAW16, Codec.PACK12]), 2000))
