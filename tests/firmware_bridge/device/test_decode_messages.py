"""DECODE's bytes: goldens, round trips, and nothing but the named error for anything else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.edits import Edit
from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.device import decode_messages as wire
from firmware_bridge.device.decode_messages import Kind, Mode, Precision
from firmware_bridge.errors import BadPacket

PAGE = (Path(__file__).parents[3] / "docs/formats/device.md").read_text()
U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
SHA = st.binary(min_size=32, max_size=32)
MODELS = st.builds(
    wire.Model,
    U8,
    U8,
    U8,
    U16,
    U16,
    U16,
    U16,
    st.integers(0, 2**53 - 1),
    SHA,
    SHA,
    st.text("abz-", max_size=32),
)
STARTS = st.builds(wire.Start, st.sampled_from([Mode(1), Mode(2), Mode(3)]), st.sampled_from(Precision))


def test_the_bytes_of_the_page() -> None:
    log_probs = np.array([[0.0, -1.0]], np.float32)
    ((kind, content),) = wire.pieces(258, log_probs, Precision.FLOAT32, 20)
    ((typed, edit),) = wire.edit_pieces(Edit(2, "é"), 20)
    examples = [
        (wire.encode_request(5, wire.Start(Mode.BOTH, Precision.FLOAT16)), "01 05 03 01"),
        (
            wire.encode_told(0x0102, kind, content),
            "01 02 01 02 01 00 00 00 00 00 00 00 00 00 00 80 bf",
        ),
        (wire.encode_told(1, typed, edit), "03 01 00 02 c3 a9"),
        (wire.encode_told(2, *wire.end_piece(258)), "04 02 00 02 01 00 00"),
    ]
    for value, expected in examples:
        assert value.hex(" ") == expected
        assert expected in PAGE


@given(model=MODELS, more=st.binary(max_size=3))
def test_a_description_may_grow(model: wire.Model, more: bytes) -> None:
    assert wire.decode_model(wire.encode_model(model) + more) == model


@given(start=STARTS, number=U8)
def test_requests_arrive_as_they_were_sent(start: wire.Start, number: int) -> None:
    assert wire.decode_request(wire.encode_request(number, start)) == start
    assert wire.decode_request(wire.encode_request(number, wire.Stop())) == wire.Stop()


@given(boot=U8, sequence=U16, emission=U32)
def test_answers_arrive_as_they_were_sent(boot: int, sequence: int, emission: int) -> None:
    started, stopped = wire.Started(boot, sequence, emission), wire.Stopped(sequence, emission)
    assert wire.decode_answer(wire.Start(Mode.TEXT), wire.encode_answer(started)) == started
    assert wire.decode_answer(wire.Stop(), wire.encode_answer(stopped)) == stopped


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (b"\x07\x01", Result.UNSUPPORTED),
        (b"\x01\x01\x01", Result.BAD_ARGUMENT),
        (b"\x01\x01\x04\x00", Result.BAD_ARGUMENT),
        (b"\x01\x01\x00\x00", Result.BAD_ARGUMENT),
        (b"\x01\x01\x01\x02", Result.BAD_ARGUMENT),
        (b"\x02\x01\x00", Result.BAD_ARGUMENT),
    ],
)
def test_a_request_that_is_answered_by_a_refusal(request_: bytes, result: Result) -> None:
    with pytest.raises(RefusedRequest) as refused:
        wire.decode_request(request_)
    assert refused.value.result is result


@given(data=st.binary(max_size=60))
def test_anything_else_is_the_named_error(data: bytes) -> None:
    for decode in (wire.decode_request, wire.decode_model, wire.decode_told):
        with suppress(BadPacket):
            decode(data)
    for operation in (wire.Start(Mode.TEXT), wire.Stop()):
        with suppress(BadPacket):
            wire.decode_answer(operation, data)


@given(
    text=st.text(max_size=60),
    erase=st.integers(0, 600),
    size=st.integers(20, 60),
    standing=st.text(min_size=600),
)
def test_an_edit_in_pieces_is_the_edit(text: str, erase: int, size: int, standing: str) -> None:
    found = standing
    for kind, content in wire.edit_pieces(Edit(erase, text), size):
        value = wire.encode_told(0, kind, content)
        assert (kind, len(value) <= size) == (Kind.TEXT, True)
        edit = wire.decode_told(value).body
        assert isinstance(edit, Edit)
        found = edit.apply(found)
    assert found == Edit(erase, text).apply(standing)


@given(
    rows=st.integers(0, 5),
    classes=st.integers(1, 30),
    size=st.integers(13, 100),
    precision=st.sampled_from(Precision),
)
def test_emissions_in_pieces_are_the_emissions(
    rows: int, classes: int, size: int, precision: Precision
) -> None:
    log_probs = -np.random.default_rng(rows).random((rows, classes)).astype(np.float32)
    expected = log_probs.astype(np.float16 if precision is Precision.FLOAT16 else np.float32)
    found = np.zeros(0, np.float32)
    for kind, content in wire.pieces(1000, log_probs, precision, size):
        value = wire.encode_told(0, kind, content)
        assert len(value) <= size
        values = wire.decode_told(value).body
        assert isinstance(values, wire.Values)
        assert (values.emission - 1000) * classes + values.first_class == len(found)
        found = np.concatenate([found, values.log_probs])
    np.testing.assert_array_equal(found.reshape(rows, classes), expected)
