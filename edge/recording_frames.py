"""What the frames of a recording's journal hold. docs/formats/session.md has the bytes."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge.errors import BadSession
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, KeyPress, Prompt, SampleChunk, SegmentStart, Side
from edge.session_layout import Plan, Segment

SAMPLES_HEADER: Final = struct.Struct("<qI")  # first index in the recording, samples
_SAMPLE_BYTES: Final = 8 + 4 * WRISTS * ELECTRODES + WRISTS


class Kind(IntEnum):
    """What a frame is."""

    HEADING = 1
    SAMPLES = 2
    KEY = 3
    PROMPT = 4
    SEGMENT = 5


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Continued(_Frame):
    """The sealed session that a recording goes on with, as it was then."""

    samples: int
    last_s: float  # the time of its last sample


class Heading(_Frame):
    """What a recording is before it holds a sample."""

    schema_version: Literal[2] = 2
    name: str
    user: str
    condition: str
    sides: tuple[Side, ...]
    filtered: bool
    simulated: bool
    rate_hz: int = RATE_HZ
    source: str = ""  # which bands
    plan: Plan | None = None
    continues: Continued | None = None


class _Key(_Frame):
    key: str
    press_s: float
    release_s: float


class _Prompt(_Frame):
    text: str
    start_s: float
    end_s: float


def pack_heading(heading: Heading) -> bytes:
    """As JSON."""
    return heading.model_dump_json().encode()


def pack_key(press: KeyPress) -> bytes:
    """As JSON."""
    return _Key(**press._asdict()).model_dump_json().encode()


def pack_prompt(prompt: Prompt) -> bytes:
    """As JSON."""
    return _Prompt(**prompt._asdict()).model_dump_json().encode()


def pack_segment(start: SegmentStart) -> bytes:
    """As JSON."""
    return Segment(**start._asdict()).model_dump_json().encode()


def unpack_key(payload: bytes) -> KeyPress:
    """Raises pydantic's ValidationError, as the other three do."""
    return KeyPress(**_Key.model_validate_json(payload).model_dump())


def unpack_prompt(payload: bytes) -> Prompt:
    """The inverse of `pack_prompt`."""
    return Prompt(**_Prompt.model_validate_json(payload).model_dump())


def unpack_segment(payload: bytes) -> SegmentStart:
    """The inverse of `pack_segment`."""
    return SegmentStart(**Segment.model_validate_json(payload).model_dump())


def pack_samples(chunk: SampleChunk) -> bytes:
    """All of a chunk but its segments, which have frames of their own."""
    return b"".join(
        [
            SAMPLES_HEADER.pack(chunk.first_index, len(chunk.time_s)),
            chunk.time_s.astype("<f8").tobytes(),
            chunk.emg_uv.astype("<f4").tobytes(),
            chunk.valid.astype(np.uint8).tobytes(),
        ]
    )


def unpack_samples(payload: bytes) -> SampleChunk:
    """Raises BadSession for a payload of another length than it says."""
    first, samples = SAMPLES_HEADER.unpack_from(payload)
    if len(payload) != SAMPLES_HEADER.size + samples * _SAMPLE_BYTES:
        raise BadSession(f"a frame of {samples} samples has {len(payload)} bytes")
    emg_at = SAMPLES_HEADER.size + 8 * samples
    valid_at = emg_at + 4 * WRISTS * ELECTRODES * samples
    return SampleChunk(
        first,
        np.frombuffer(payload, "<f8", samples, SAMPLES_HEADER.size).astype(np.float64, copy=False),
        np.frombuffer(payload, "<f4", samples * WRISTS * ELECTRODES, emg_at)
        .reshape(samples, WRISTS, ELECTRODES)
        .astype(np.float32, copy=False),
        np.frombuffer(payload, np.uint8, samples * WRISTS, valid_at)
        .reshape(samples, WRISTS)
        .astype(np.bool_),
    )
