"""A decoder's notifications in, emissions and edits out, in order; what was lost is declared."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.edits import Edit
from edge.samples import Float32
from firmware_bridge.device.decode_messages import End, Started, Told, Values
from firmware_bridge.errors import BadPacket

_NOTHING: Final = np.zeros(0, np.float32)
_NOTHING.setflags(write=False)


class Said(NamedTuple):
    """Consecutive emissions."""

    first: int  # counted from the device's boot
    log_probs: Float32  # (n, K)


class Typed(NamedTuple):
    """An edit of the device's text; after notifications were lost it may follow on one that is not here."""

    edit: Edit


class Lost(NamedTuple):
    """Notifications that were made and did not arrive; what was in them is not known."""

    notifications: int


class Missing(NamedTuple):
    """Emissions that were made and are not here whole."""

    first: int
    emissions: int


Event = Said | Typed | Lost | Missing


class DecodingState(NamedTuple):
    """Where a decoder's output stands.

    Emissions said + declared missing == made, exactly, up to `row`; within a boot of the device.
    """

    sequence: int  # of the next notification, not wrapped
    row: int  # the next emission that is neither said nor declared missing
    next_value: int  # where the next values should begin: emission * K + class
    begun: Float32 = _NOTHING  # the first values of the emission `begun_row`
    begun_row: int = 0
    ended: bool = False

    @classmethod
    def at(cls, started: Started, classes: int) -> DecodingState:
        """Before the first notification after START."""
        return cls(started.sequence, started.emission, started.emission * classes, begun_row=started.emission)


def resume(state: DecodingState, started: Started, classes: int) -> tuple[DecodingState, list[Event]]:
    """After a break in the same boot: what came in between is declared."""
    ahead = max(0, _ahead(started.sequence, state.sequence))
    after, events = _until(state, started.emission, classes)
    lost: list[Event] = [Lost(ahead)] if ahead else []
    return after._replace(sequence=state.sequence + ahead), lost + events


def step(state: DecodingState, told: Told, classes: int) -> tuple[DecodingState, list[Event]]:
    """Take the next notification; one that came twice gives nothing. Raises BadPacket where it runs back."""
    ahead = _ahead(told.sequence, state.sequence)
    if ahead < 0 or state.ended:
        return state, []
    events: list[Event] = [Lost(ahead)] if ahead else []
    state = state._replace(sequence=state.sequence + ahead + 1)
    match told.body:
        case Values():
            state, more = _take(state, told.body, classes)
        case End(emissions):
            state, more = _until(state, emissions, classes)
            state = state._replace(ended=True)
        case edit:
            more = [Typed(edit)]
    return state, events + more


def _take(state: DecodingState, values: Values, classes: int) -> tuple[DecodingState, list[Event]]:
    at, log_probs = values.emission * classes + values.first_class, values.log_probs
    if at < state.next_value or values.first_class >= classes:
        raise BadPacket(
            f"a decoder's values of emission {values.emission}, class {values.first_class} came, "
            f"{state.next_value // classes}, class {state.next_value % classes} was next"
        )
    begun, row = state.begun, state.begun_row
    if at > state.next_value:  # an emission whose beginning is lost is lost whole
        begun, row = _NOTHING, -(-at // classes)
    begun = np.concatenate([begun, log_probs[max(0, row * classes - at) :]])
    whole = len(begun) // classes
    after = state._replace(
        next_value=at + len(log_probs), begun=begun[whole * classes :], begun_row=row + whole
    )
    if not whole:
        return after, []
    events: list[Event] = [Missing(state.row, row - state.row)] if row > state.row else []
    said = Said(row, begun[: whole * classes].reshape(whole, classes))
    return after._replace(row=row + whole), [*events, said]


def _until(state: DecodingState, emission: int, classes: int) -> tuple[DecodingState, list[Event]]:
    """All emissions before `emission` were made; those that are not here are missing."""
    missing = emission - state.row
    after = state._replace(
        row=max(state.row, emission),
        next_value=max(state.next_value, emission * classes),
        begun=_NOTHING,
        begun_row=max(state.row, emission),
    )
    return after, [Missing(state.row, missing)] if missing > 0 else []


def _ahead(wrapped: int, expected: int) -> int:
    """How far a sequence number, known modulo 2**16, is ahead of `expected`: the nearest such distance."""
    return (wrapped - expected + 0x8000) % 0x10000 - 0x8000
