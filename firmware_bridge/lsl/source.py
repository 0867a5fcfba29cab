"""Streams of the lab network as a source of samples: any amplifier of sixteen channels a wrist at 2 kHz."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, Literal, NamedTuple

import numpy as np

from edge.errors import BadInput, QwristError, SourceLost
from edge.samples import ELECTRODES, RATE_HZ, SIDES, Bool, Float32, SampleChunk, Side, SourceInfo
from firmware_bridge.align import Aligner
from firmware_bridge.lsl.description import Channels, check, chosen, describe, scale_uv
from firmware_bridge.lsl.grid import Grid, Piece
from firmware_bridge.lsl.inlet import Inlet, find, load, open_inlet
from firmware_bridge.stream import MAX_GAP_SAMPLES, NO_SAMPLES, Segment

Clock = Callable[[], float]

SILENCE_S: Final = MAX_GAP_SAMPLES / RATE_HZ  # a longer break is not bridged, so it is not waited for
_BREAK_SAMPLES: Final = RATE_HZ // 2  # what a band may be silent, and no more: then a new segment begins


class LslStreams(NamedTuple):
    """Which streams are the bands: one with both, or one for each side that is worn."""

    both: str | None = None  # a name; None with no side named: the only EMG stream there is
    left: str | None = None
    right: str | None = None
    unit: str | None = None  # where the stream names none
    channels: Channels | None = None  # of each stream; None: all
    stamps: Literal["stream", "arrival"] = "stream"  # arrival: the stream's own are not to be used


class _Lane:
    """One stream, how far its grid has got, and the bands it carries."""

    def __init__(self, inlet: Inlet, first: int, wrists: Sequence[tuple[int, slice]], scale: Float32) -> None:
        self.inlet = inlet
        self.channels = slice(first, first + len(scale))
        self.wrists = wrists  # wrist and its channels
        self.scale_uv = scale
        self.grid = Grid()
        self.state = self.grid.initial_state(len(scale))


class LslSource:
    """A SampleSource over open streams; it streams once. Samples that are no number count as missing."""

    def __init__(
        self, lanes: Sequence[_Lane], info: SourceInfo, woken: asyncio.Event, silence_s: float = SILENCE_S
    ) -> None:
        self.info = info
        self._lanes = lanes
        self._woken = woken
        self._silence_s = silence_s
        self._aligner = Aligner(info.sides, together=True)  # inlets open one after the other
        self._state = self._aligner.initial_state()

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """Iterate until the streams end.

        Raises SourceLost where one does or is silent for 10 s, BandRefused where its stamps tell another
        rate; all that had arrived is delivered first.
        """
        for lane in self._lanes:
            for wrist, _ in lane.wrists:
                self._state = self._aligner.begin(self._state, wrist, 0)
            lane.inlet.start(self._woken.set)
        while True:
            self._woken.clear()
            loss = self._collect()
            if isinstance(loss, SourceLost):
                self._finish()
            for chunk in self._ready():
                yield chunk
            if loss is not None:
                raise loss
            await self._wait()

    async def _wait(self) -> None:
        """Until something arrives, or it is time to look who has been silent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._silence_s / 10):
                await self._woken.wait()

    def _collect(self) -> QwristError | None:
        for lane in self._lanes:
            lost = lane.inlet.lost  # looked at first: what came before it is taken
            for stamped in lane.inlet.take():
                wanted = stamped._replace(values=stamped.values[:, lane.channels])
                try:
                    lane.state, pieces = lane.grid.step(lane.state, wanted)
                except QwristError as error:
                    return error
                self._push(lane, pieces)
            if lost is not None:
                return lost
            if lane.inlet.silent_s() > self._silence_s:
                return SourceLost(
                    f"the LSL stream {lane.inlet.name!r} has sent nothing for {self._silence_s:g} s; "
                    "see to the amplifier and its program, and start again"
                )
        return None

    def _finish(self) -> None:
        """Nothing follows: give what was held back."""
        for lane in self._lanes:
            lane.state, pieces = lane.grid.finish(lane.state)
            self._push(lane, pieces)
            for wrist, _ in lane.wrists:
                self._state = self._aligner.end(self._state, wrist)

    def _push(self, lane: _Lane, pieces: Sequence[Piece]) -> None:
        index = lane.state.next_index - sum(piece.missing + len(piece.values) for piece in pieces)
        for piece in pieces:
            for wrist, channels in lane.wrists:
                self._place(wrist, index, piece, piece.values[:, channels] * lane.scale_uv[channels])
            index += piece.missing + len(piece.values)

    def _place(self, wrist: int, index: int, piece: Piece, emg_uv: Float32) -> None:
        """Give a band's samples, the first of which, or missing one, is its sample `index`."""
        missing = piece.missing
        end = index + missing + len(emg_uv)
        if missing >= _BREAK_SAMPLES:
            self._state = self._aligner.resume(self._state, wrist, missing, index + missing, piece.uncertain)
            index, missing = index + missing, 0
        for segment in _segments(missing, emg_uv):
            index += segment.samples
            due_s = piece.next_s - (end - index) / RATE_HZ
            self._state = self._aligner.push(self._state, wrist, segment, index, due_s)

    def _ready(self) -> Iterator[SampleChunk]:
        while True:
            self._state, chunk = self._aligner.pull(self._state)
            if chunk is None:
                return
            yield chunk


def _segments(missing: int, emg_uv: Float32) -> Iterator[Segment]:
    """Samples after `missing` ones; those that are no number are missing too."""
    present: Bool = np.logical_and.reduce(np.isfinite(emg_uv), 1)
    for run in np.split(np.arange(len(emg_uv)), np.flatnonzero(np.diff(present)) + 1):
        if len(run) and not present[run[0]]:
            missing += len(run)
            continue
        yield Segment(missing, emg_uv[run])
        missing = 0
    if missing:
        yield Segment(missing, NO_SAMPLES)


@asynccontextmanager
async def open_lsl(
    streams: LslStreams,
    sides: Sequence[Side] = SIDES,
    *,
    clock: Clock = time.monotonic,
    timeout_s: float = 5.0,
    silence_s: float = SILENCE_S,
) -> AsyncIterator[LslSource]:
    """The bands of `sides` out of `streams`, until the context ends.

    Raises BandNotFound where a stream is missing or not alone, BandRefused where it is not what a band
    sends, MissingExtra without pylsl.
    """
    load()
    wanted = _wanted(streams, sides)
    woken = asyncio.Event()
    async with AsyncExitStack() as stack:
        lanes, filtered = [], []
        found = await find([name for name, _ in wanted], timeout_s)
        by_arrival = streams.stamps == "arrival"
        for (_, worn), stream in zip(wanted, found, strict=True):
            opening = open_inlet(stream, clock, by_arrival=by_arrival, timeout_s=timeout_s)
            inlet = await stack.enter_async_context(opening)
            lanes.append(_lane(inlet, streams, worn))
            filtered.append(describe(inlet.info).filtered)
        name = " and ".join(lane.inlet.name for lane in lanes)
        info = SourceInfo(name, RATE_HZ, tuple(sides), filtered=all(filtered))
        yield LslSource(lanes, info, woken, silence_s)


def _lane(inlet: Inlet, streams: LslStreams, worn: Sequence[Side]) -> _Lane:
    """The bands that an open stream carries. Raises BandRefused where it cannot."""
    description, first = describe(inlet.info), 0
    if streams.channels is not None:
        description, first = chosen(description, streams.channels), streams.channels.start
    both = len(worn) == len(SIDES) or description.channels == len(SIDES) * ELECTRODES
    check(description, len(SIDES) if both else 1)
    return _Lane(inlet, first, _wrists(worn, both=both), scale_uv(description, streams.unit))


def _wanted(streams: LslStreams, sides: Sequence[Side]) -> list[tuple[str | None, tuple[Side, ...]]]:
    """The name of each stream to open, and the bands that it carries."""
    named: dict[Side, str | None] = {"left": streams.left, "right": streams.right}
    given = tuple(side for side in SIDES if named[side] is not None)
    if not given:
        return [(streams.both, tuple(sides))]
    if streams.both is not None:
        raise BadInput("lsl: takes one stream with both bands, or left= and right=, not all of them")
    if set(given) != set(sides):
        missing = " and ".join(side for side in SIDES if side in set(sides) ^ set(given))
        raise BadInput(
            f"lsl: names the {' and '.join(given)} band, and {' and '.join(sides)} is asked for; "
            f"name a stream for the {missing} band too, or set --sides"
        )
    return [(named[side], (side,)) for side in given]


def _wrists(worn: Sequence[Side], *, both: bool) -> list[tuple[int, slice]]:
    """The channels of each band: left first where one stream carries both."""
    wrists = [SIDES.index(side) for side in worn]
    first = [wrist * ELECTRODES if both else 0 for wrist in wrists]
    return [(wrist, slice(at, at + ELECTRODES)) for wrist, at in zip(wrists, first, strict=True)]
