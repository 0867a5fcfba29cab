"""DEVICE-TEST's bytes: goldens, round trips, and nothing but the named error for anything else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.device import trial_messages as wire
from firmware_bridge.errors import BadPacket

PAGE = (Path(__file__).parents[3] / "docs/formats/device.md").read_text()
U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
SOME = st.binary(min_size=1, max_size=40)
TEXT = st.text(max_size=wire.MAX_NAME_BYTES // 4)  # of any characters
OPERATIONS = st.one_of(
    st.builds(wire.Open, U16, st.binary(min_size=32, max_size=32)),
    st.builds(wire.Where),
    st.builds(wire.Fetch, U16, U32, U32),
)
OUTPUTS = st.one_of(
    st.builds(wire.Taken, U16, U32, U32, st.booleans()),
    st.builds(wire.Part, U16, U32, U32, SOME),
    st.builds(wire.Refused, U16, U32, st.sampled_from(wire.Reason), TEXT),
)
PIECES = st.builds(wire.Piece, U16, U32, st.sampled_from(wire.Begins), U32, SOME)


def test_the_bytes_of_the_page() -> None:
    examples = [
        (
            wire.encode_piece(wire.Piece(0x1234, 7, wire.Begins.INITIAL, 501, b"\xaa\xbb")),
            "34 12 07 00 00 00 01 f5 01 00 00 aa bb",
        ),
        (
            wire.encode_output(wire.Taken(0x1234, 7, 4096, gap=False)),
            "01 34 12 07 00 00 00 00 10 00 00 00",
        ),
        (
            wire.encode_output(wire.Refused(0x1234, 7, wire.Reason.DAMAGED, "crc")),
            "03 34 12 07 00 00 00 05 63 72 63",
        ),
        (wire.encode_info(wire.Info(1, 3, 8192, 1 << 20, "x")), "01 03 00 20 00 00 00 00 10 00 01 78"),
        (wire.sealed(b"123456789")[-4:], "26 39 f4 cb"),
    ]
    for value, expected in examples:
        assert value.hex(" ") == expected
        assert expected in PAGE


@given(operation=OPERATIONS, number=U8)
def test_requests_arrive_as_they_were_sent(operation: wire.Operation, number: int) -> None:
    request = wire.Request(number, operation)
    assert wire.decode_request(wire.encode_request(request)) == request


@given(output=OUTPUTS)
def test_outputs_arrive_as_they_were_sent(output: wire.Output) -> None:
    assert wire.decode_output(wire.encode_output(output)) == output


@given(piece=PIECES)
def test_pieces_arrive_as_they_were_sent(piece: wire.Piece) -> None:
    assert wire.decode_piece(wire.encode_piece(piece)) == piece


@given(info=st.builds(wire.Info, U8, U8, U32, U32, TEXT), more=st.binary(max_size=3))
def test_information_may_grow(info: wire.Info, more: bytes) -> None:
    assert wire.decode_info(wire.encode_info(info) + more) == info


@given(opened=st.builds(wire.Opened, U8, U32, U32, U16, U16))
def test_answers_arrive_as_they_were_sent(opened: wire.Opened) -> None:
    assert wire.decode_answer(wire.Open(1, bytes(32)), wire.encode_answer(opened)) == opened
    standing = wire.Standing(opened.boot, 5, opened.input_bytes, 2, running=True)
    assert wire.decode_answer(wire.Where(), wire.encode_answer(standing)) == standing
    assert wire.decode_answer(wire.Fetch(1, 2, 3), wire.encode_answer(None)) is None


@given(data=st.binary(max_size=60), operation=OPERATIONS)
def test_anything_else_is_the_named_error(data: bytes, operation: wire.Operation) -> None:
    for decode in (
        wire.decode_request,
        wire.decode_output,
        wire.decode_piece,
        wire.decode_info,
        wire.unsealed,
    ):
        with suppress(BadPacket):
            decode(data)
    with suppress(BadPacket):
        wire.decode_answer(operation, data)


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (b"\x09\x01", Result.UNSUPPORTED),
        (b"\x01\x01\x05", Result.BAD_ARGUMENT),
        (b"\x02\x01\x00", Result.BAD_ARGUMENT),
    ],
)
def test_a_request_that_is_answered_by_a_refusal(request_: bytes, result: Result) -> None:
    with pytest.raises(RefusedRequest) as refused:
        wire.decode_request(request_)
    assert refused.value.result is result


@given(payload=st.binary(max_size=100), bit=st.integers(0))
def test_a_flipped_bit_is_seen(payload: bytes, bit: int) -> None:
    content = bytearray(wire.sealed(payload))
    assert wire.unsealed(bytes(content)) == payload
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    with pytest.raises(BadPacket, match="CRC-32"):
        wire.unsealed(bytes(content))


def test_a_long_reason_is_cut_and_still_a_refusal() -> None:
    found = wire.decode_output(wire.encode_output(wire.Refused(1, 2, wire.Reason.FAILED, "x" + "µ" * 1000)))
    assert isinstance(found, wire.Refused)
    assert found.text == "x" + "µ" * ((wire.MAX_REASON_BYTES - 1) // 2)
