"""A recorded session as a live source: the same samples, keys and times, at any speed."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from edge.samples import RATE_HZ, KeyPress, SampleChunk, SourceInfo
from edge.session import Session, read_session

CHUNK_SAMPLES: Final = 64  # 32 ms, four frames: what the streaming network takes at once


@dataclass(frozen=True)
class FileSource:
    """A SampleSource that replays `session` from its start.

    speed None is as fast as it is taken, 1.0 real time, 2.0 twice that. Times and breaks are those of the
    recording.
    """

    session: Session
    speed: float | None = None
    chunk_samples: int = CHUNK_SAMPLES

    @classmethod
    def open(cls, path: Path, speed: float | None = None) -> Self:
        """Replay a session file. Raises BadSession."""
        return cls(read_session(path), speed)

    @property
    def info(self) -> SourceInfo:
        """What the recording says of itself."""
        return SourceInfo(self.session.name, RATE_HZ, self.session.sides, self.session.filtered)

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """Iterate until the recording ends."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for start in range(0, len(self.session.time_s), self.chunk_samples):
            part = slice(start, start + self.chunk_samples)
            time_s = self.session.time_s[part]
            due_s = started_s
            if self.speed is not None:
                due_s += (start + len(time_s)) / RATE_HZ / self.speed
            await asyncio.sleep(max(0.0, due_s - loop.time()))  # 0 lets other tasks run
            begun = tuple(s for s in self.session.segments if start <= s.first_index < start + len(time_s))
            yield SampleChunk(start, time_s, self.session.emg_uv[part], self.session.valid[part], begun)


@dataclass
class SessionKeys:
    """A KeySource that replays the key presses of a session."""

    session: Session
    _delivered: int = field(default=0, init=False)

    def until(self, time_s: float) -> list[KeyPress]:
        """The presses not delivered yet up to `time_s`, inclusive."""
        start = self._delivered
        self._delivered = max(start, bisect_right(self.session.keys, time_s, key=lambda press: press.press_s))
        return list(self.session.keys[start : self._delivered])
