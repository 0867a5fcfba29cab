"""The device's side of DEVICE-TEST: whatever arrives, it is bounded, named, and never a crash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.control import RefusedRequest, Result
from firmware_bridge.device.trial import WINDOW_BYTES, Job, Trial
from firmware_bridge.device.trial_messages import (
    Begins,
    Fetch,
    Open,
    Part,
    Piece,
    Reason,
    Refused,
    Standing,
    Taken,
    Where,
    sealed,
    unsealed,
)
from tests.firmware_bridge.device.making import CALLS, FORM, SHA256, answered, frames

SESSION = 77


def opened() -> Trial:
    trial = Trial({SHA256: CALLS}, boot=3)
    assert trial.operate(Open(SESSION, SHA256)) == (3, CALLS.input_bytes, CALLS.state_bytes, 1, 99)
    return trial


def pieces(content: bytes, chunk: int, begins: Begins, size: int = 500) -> list[Piece]:
    starts = range(0, len(content), size)
    return [Piece(SESSION, chunk, begins, start, content[start : start + size]) for start in starts]


def fed(trial: Trial, chunk: int, begins: Begins, payload: bytes):
    """The last piece's answer."""
    return [trial.take(piece) for piece in pieces(sealed(payload), chunk, begins)][-1]


def ran(trial: Trial, job: object) -> bytes:
    assert isinstance(job, Job)
    assert trial.finished(*answered(job.x, job.state)) is None
    return unsealed(b"".join(part.data for part in trial.parts(100)))


def test_chunks_are_run_from_the_state_that_they_name() -> None:
    trial, state = opened(), FORM.initial_state()
    for chunk, begins in enumerate(
        [Begins.INITIAL, Begins.CARRIED, Begins.GIVEN, Begins.CARRIED, Begins.INITIAL]
    ):
        if begins is Begins.INITIAL:
            state = FORM.initial_state()
        given = b""
        if begins is Begins.GIVEN:
            state = tuple(np.full_like(array, 5.5) for array in state)
            given = CALLS.pack_state(state)
        expected, state = answered(frames(chunk), state)
        job = fed(trial, chunk, begins, given + CALLS.pack_input(frames(chunk)))
        assert ran(trial, job) == expected.tobytes()


def test_it_acknowledges_every_half_window() -> None:
    trial = opened()
    content = sealed(CALLS.pack_input(frames(0)))
    answers = [trial.take(piece) for piece in pieces(content, 0, Begins.INITIAL)]
    taken = [answer.offset for answer in answers if isinstance(answer, Taken)]
    assert taken == [4500]
    assert WINDOW_BYTES // 2 <= taken[0] < WINDOW_BYTES
    assert isinstance(answers[-1], Job)


def test_what_is_missing_is_said_once_and_then_taken() -> None:
    trial = opened()
    first, lost, *rest = pieces(sealed(CALLS.pack_input(frames(0))), 0, Begins.INITIAL)
    assert trial.take(first) is None
    assert [trial.take(piece) for piece in rest[:3]] == [Taken(SESSION, 0, 500, gap=True), None, None]
    assert trial.take(first) is None, "it was here already"
    assert trial.operate(Where()) == Standing(3, SESSION, 0, 500, running=False)
    answers = [trial.take(piece) for piece in (lost, *rest)]
    assert isinstance(answers[-1], Job)


def test_it_says_where_it_stands_and_sends_a_result_again() -> None:
    trial = opened()
    job = fed(trial, 0, Begins.INITIAL, CALLS.pack_input(frames(0)))
    assert trial.operate(Where()) == Standing(3, SESSION, 0, CALLS.input_bytes + 4, running=True)
    with pytest.raises(RefusedRequest) as refused:
        trial.operate(Fetch(SESSION, 0, 0))
    assert refused.value.result is Result.NOT_NOW
    whole = ran(trial, job)
    assert trial.operate(Where()) == Standing(3, SESSION, 1, 0, running=False)
    assert trial.operate(Fetch(SESSION, 0, 10)) is None
    again = list(trial.parts(100, 10))
    assert again[0] == Part(SESSION, 0, 10, sealed(whole)[10:110])
    for fetch, result in (
        (Fetch(SESSION, 0, 10_000), Result.BAD_ARGUMENT),
        (Fetch(SESSION, 1, 0), Result.NOT_NOW),
        (Fetch(SESSION + 1, 0, 0), Result.NOT_NOW),
    ):
        with pytest.raises(RefusedRequest) as refused:
            trial.operate(fetch)
        assert refused.value.result is result


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (Piece(SESSION + 1, 0, Begins.INITIAL, 0, b"x"), Reason.NO_SESSION),
        (Piece(SESSION, 1, Begins.INITIAL, 0, b"x"), Reason.WRONG_CHUNK),
        (Piece(SESSION, 0, Begins.CARRIED, 0, b"x"), Reason.NO_STATE),
        (Piece(SESSION, 0, Begins.INITIAL, CALLS.input_bytes + 3, b"xy"), Reason.TOO_LONG),
        (Piece(SESSION, 0, Begins.GIVEN, 2**32 - 1, b"x"), Reason.TOO_LONG),
    ],
)
def test_a_hostile_piece_is_refused_by_name(piece: Piece, reason: Reason) -> None:
    said = opened().take(piece)
    assert isinstance(said, Refused)
    assert said.reason is reason


def test_before_a_session_there_is_none() -> None:
    trial = Trial({SHA256: CALLS}, boot=3)
    assert trial.operate(Where()) == Standing(3, 0, 0, 0, running=False)
    assert list(trial.parts(10)) == []
    for operation, result in (
        (Open(SESSION, bytes(32)), Result.UNSUPPORTED),
        (Open(0, SHA256), Result.BAD_ARGUMENT),
    ):
        with pytest.raises(RefusedRequest) as refused:
            trial.operate(operation)
        assert refused.value.result is result


def test_a_damaged_chunk_and_one_that_fails_are_taken_again() -> None:
    trial = opened()
    payload = CALLS.pack_input(frames(0))
    content = bytearray(sealed(payload))
    content[600] ^= 4
    said = [trial.take(piece) for piece in pieces(bytes(content), 0, Begins.INITIAL)][-1]
    assert isinstance(said, Refused)
    assert said.reason is Reason.DAMAGED
    assert isinstance(fed(trial, 0, Begins.INITIAL, payload), Job)
    with pytest.raises(RefusedRequest):
        trial.operate(Open(SESSION + 1, SHA256))
    assert trial.failed("no memory") == Refused(SESSION, 0, Reason.FAILED, "no memory")
    assert isinstance(fed(trial, 0, Begins.INITIAL, payload), Job)
    wrong = trial.finished(np.zeros((1, 3), np.float32), FORM.initial_state())
    assert wrong is not None
    assert wrong.reason is Reason.FAILED
    assert isinstance(fed(trial, 0, Begins.INITIAL, payload), Job)


NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1))
HOSTILE = st.one_of(
    st.builds(
        Piece,
        st.sampled_from([SESSION, 1]),
        NUMBERS,
        st.sampled_from(Begins),
        st.one_of(NUMBERS, st.sampled_from([0, 500, CALLS.input_bytes])),
        st.binary(min_size=1, max_size=500),
    ),
    st.builds(Open, st.sampled_from([0, SESSION]), st.sampled_from([SHA256, bytes(32)])),
    st.builds(Where),
    st.builds(Fetch, st.sampled_from([SESSION, 1]), NUMBERS, NUMBERS),
)


@given(hostile=st.lists(HOSTILE, max_size=30))
@settings(max_examples=60, deadline=None)
def test_no_order_of_messages_crashes_it_or_fills_its_memory(hostile: list) -> None:
    trial = opened()
    fed(trial, 0, Begins.INITIAL, bytes(CALLS.input_bytes - 1))
    for message in hostile:
        try:
            said = trial.take(message) if isinstance(message, Piece) else trial.operate(message)
        except RefusedRequest:
            continue
        if isinstance(said, Job):
            assert trial.finished(*answered(said.x, said.state)) is None
        standing = trial.operate(Where())
        assert isinstance(standing, Standing)
        assert standing.offset <= CALLS.state_bytes + CALLS.input_bytes + 4
    trial.operate(Open(SESSION, SHA256))
    assert isinstance(fed(trial, 0, Begins.INITIAL, CALLS.pack_input(frames(1))), Job)
