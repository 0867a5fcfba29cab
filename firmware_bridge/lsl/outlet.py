"""The bands' stream, given to the lab network: LabRecorder and every other program of LSL can take it."""

from __future__ import annotations

import platform
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ, SIDES, SampleChunk, SampleSource, SourceInfo
from firmware_bridge.lsl.description import CONTENT_TYPE, MICROVOLTS
from firmware_bridge.lsl.inlet import host_offset_s, load

if TYPE_CHECKING:
    import pylsl

Clock = Callable[[], float]

_BUFFER_S: Final = 60  # for a receiver that pauses: 15 MB for both bands


class LslOutlet:
    """A stream of float32 microvolts, 16 channels for each band that is worn, left first.

    Every sample has a stamp of its own, and missing ones are NaN: the stream has no gaps. It lives as long
    as this object, whatever happens to the links behind it.
    """

    def __init__(self, source: SourceInfo, name: str, clock: Clock = time.monotonic) -> None:
        pylsl = load()
        self._wrists = [SIDES.index(side) for side in source.sides]
        self._outlet = pylsl.StreamOutlet(_info(source, name), max_buffered=_BUFFER_S)
        self._to_lsl_s = -host_offset_s(clock)

    def push(self, chunk: SampleChunk) -> None:
        """Send a chunk."""
        emg_uv = np.where(chunk.valid[:, :, None], chunk.emg_uv, np.float32(np.nan))
        stamps = chunk.time_s + self._to_lsl_s
        channels = len(self._wrists) * ELECTRODES
        self._outlet.push_chunk(emg_uv[:, self._wrists].reshape(-1, channels), stamps.tolist())

    def heard(self) -> bool:
        """Whether anybody receives it."""
        return bool(self._outlet.have_consumers())


async def relay(source: SampleSource, outlet: LslOutlet) -> AsyncIterator[SampleChunk]:
    """Give on what passes through. Raises what the source raises."""
    async with aclosing(source.chunks()) as chunks:
        async for chunk in chunks:
            outlet.push(chunk)
            yield chunk


def _info(source: SourceInfo, name: str) -> pylsl.StreamInfo:
    import pylsl

    labels = [f"{side[0].upper()}{electrode}" for side in source.sides for electrode in range(ELECTRODES)]
    info = pylsl.StreamInfo(
        name,
        CONTENT_TYPE,
        len(labels),
        RATE_HZ,
        pylsl.cf_float32,
        source_id=f"qwrist {name} {platform.node()}",
    )
    channels = info.desc().append_child("channels")  # as XDF lays down
    for label in labels:
        channel = channels.append_child("channel")
        for key, value in (("label", label), ("unit", MICROVOLTS), ("type", CONTENT_TYPE)):
            channel.append_child_value(key, value)
    own = info.desc().append_child("qwrist")
    for key, value in (("source", source.name), ("filtered", "yes" if source.filtered else "no")):
        own.append_child_value(key, value)
    return info
