"""Samples and keys on their way in: the types, and the two Protocols that every source fulfils.

Letters: T time, W wrist (0 left, 1 right), E electrode.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

RATE_HZ: Final = 2000  # what the band samples at; emg2qwerty's rate
WRISTS: Final = 2
ELECTRODES: Final = 16  # a ring around each wrist

Side = Literal["left", "right"]
SIDES: Final[tuple[Side, Side]] = ("left", "right")

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


class SegmentStart(NamedTuple):
    """Where a band's samples go on after a break.

    What the break cost is declared: the `missing` samples before `first_index` are invalid, however many
    chunks they fill.
    """

    first_index: int  # in the stream's numbering, as SampleChunk.first_index
    side: Side
    reason: Literal["reconnected", "restarted"]  # reconnected: its numbering runs on
    missing: int  # samples of this band
    uncertain: int  # by how many `missing` may be wrong: 0 where a band's numbering runs on


class SampleChunk(NamedTuple):
    """Consecutive samples of both bands on one clock.

    `first_index` counts samples from the start of the stream without gaps: a missing sample has an index
    and a time like any other, holds its electrode's last value, and is False in `valid`. A band that is not
    worn is False throughout.
    """

    first_index: int
    time_s: Float64  # (T,) host seconds, strictly increasing
    emg_uv: Float32  # (T, W, E) microvolts
    valid: Bool  # (T, W)
    segments: tuple[SegmentStart, ...] = ()  # that begin in this chunk


class SourceInfo(NamedTuple):
    """What a source is before it has delivered anything."""

    name: str
    rate_hz: int
    sides: tuple[Side, ...]  # the bands that are worn
    filtered: bool  # already high-passed at 40 Hz, as emg2qwerty's recordings are


class SampleSource(Protocol):
    """Delivers samples in order, none twice, each missing one declared."""

    @property
    def info(self) -> SourceInfo:
        """What is known before the first sample."""
        ...

    def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """Iterate until the source ends; close it (contextlib.aclosing) to leave early.

        Raises SourceLost where it breaks off unasked.
        """
        ...


class KeyPress(NamedTuple):
    """One press of a physical key: ground truth, on the same clock as the samples."""

    key: str  # a character, or a pynput name such as Key.space
    press_s: float
    release_s: float


class KeySource(Protocol):
    """Delivers presses of physical keys in order of their press time."""

    def until(self, time_s: float) -> list[KeyPress]:
        """The presses not delivered yet whose press time is at most `time_s` (host seconds)."""
        ...


class Prompt(NamedTuple):
    """A text that was shown to be typed, from when until when."""

    text: str
    start_s: float
    end_s: float
