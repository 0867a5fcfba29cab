"""Notifications of a decoder, put together: said + declared missing == made, whatever is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.edits import Edit
from edge.samples import Float32
from firmware_bridge.device import decode_messages as wire
from firmware_bridge.device import decoding
from firmware_bridge.device.decode_messages import End, Precision, Started, Told, Values
from firmware_bridge.device.decoding import DecodingState, Lost, Missing, Said, Typed
from firmware_bridge.errors import BadPacket

CLASSES = 7
START = Started(boot=1, sequence=65_530, emission=40)


def told(emissions: Float32, chunk: int, size: int) -> list[Told]:
    """All notifications of a stream: emissions in chunks, an edit after each chunk, the end."""
    found = []
    for first in range(0, len(emissions), chunk):
        part = emissions[first : first + chunk]
        found += list(wire.pieces(START.emission + first, part, Precision.FLOAT32, size))
        found += list(wire.edit_pieces(Edit(0, f"{first}"), size))
    found.append(wire.end_piece(START.emission + len(emissions)))
    return [
        wire.decode_told(wire.encode_told(START.sequence + number, *piece))
        for number, piece in enumerate(found)
    ]


def taken(messages: list[Told]) -> list[decoding.Event]:
    state, events = DecodingState.at(START, CLASSES), []
    for message in messages:
        state, more = decoding.step(state, message, CLASSES)
        events += more
    return events


def rows_of(count: int) -> Float32:
    return np.arange(count * CLASSES, dtype=np.float32).reshape(count, CLASSES)


@given(
    count=st.integers(0, 40),
    chunk=st.integers(1, 9),
    size=st.sampled_from([16, 23, 60, 200]),
    lost=st.sets(st.integers(0, 200)),
    twice=st.sets(st.integers(0, 200)),
)
@settings(max_examples=150, deadline=None)
def test_every_emission_is_said_or_declared_once(
    count: int, chunk: int, size: int, lost: set[int], twice: set[int]
) -> None:
    emissions = rows_of(count)
    made = told(emissions, chunk, size)
    lost.discard(len(made) - 1)  # without its end a stream just stops
    arrived = [one for i, one in enumerate(made) for _ in range(1 + (i in twice)) if i not in lost]
    following = START.emission
    for event in taken(arrived):
        match event:
            case Said(first, log_probs):
                assert first == following
                begin = first - START.emission
                np.testing.assert_array_equal(log_probs, emissions[begin : begin + len(log_probs)])
                following += len(log_probs)
            case Missing(first, missing):
                assert (first, missing > 0) == (following, True)
                following += missing
    assert following == START.emission + count
    counted = sum(event.notifications for event in taken(arrived) if isinstance(event, Lost))
    assert counted == len(lost & set(range(len(made))))


def test_without_loss_nothing_is_declared() -> None:
    events = taken(told(rows_of(20), 4, 23))
    assert not [event for event in events if isinstance(event, (Lost, Missing))]
    assert [event.edit.insert for event in events if isinstance(event, Typed)] == ["0", "4", "8", "12", "16"]


def test_one_lost_piece_costs_the_emissions_that_it_touched() -> None:
    made = told(rows_of(8), 8, 9 + 4 * 10)  # ten values a notification, seven an emission
    events = taken(made[:1] + made[2:])
    assert [event for event in events if not isinstance(event, (Said, Typed))] == [Lost(1), Missing(41, 2)]
    assert [(event.first, len(event.log_probs)) for event in events if isinstance(event, Said)][:2] == [
        (40, 1),
        (43, 1),
    ]


def test_what_was_made_while_nobody_listened_is_declared() -> None:
    state, _ = decoding.step(DecodingState.at(START, CLASSES), told(rows_of(1), 1, 200)[0], CLASSES)
    state, events = decoding.resume(state, Started(1, (START.sequence + 6) % 65_536, 45), CLASSES)
    assert events == [Lost(5), Missing(41, 4)]
    state, events = decoding.step(state, Told((START.sequence + 6) % 65_536, End(45)), CLASSES)
    assert (events, state.ended) == ([], True)


def test_values_that_run_back_are_refused() -> None:
    state = DecodingState.at(START, CLASSES)
    for values in (Values(39, 0, np.zeros(7, np.float32)), Values(40, 7, np.zeros(7, np.float32))):
        with pytest.raises(BadPacket, match="was next"):
            decoding.step(state, Told(START.sequence, values), CLASSES)
