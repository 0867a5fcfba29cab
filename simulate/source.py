"""A performance as a live source: its samples and its keys, as a link and a keyboard would deliver them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import numpy as np

from edge.samples import RATE_HZ, KeyPress, SampleChunk, SourceInfo
from simulate.wearer import Performance

_CHUNK_SAMPLES = 40  # 20 ms: about what one Bluetooth connection event brings


@dataclass(frozen=True)
class PerformanceSource:
    """A SampleSource in virtual time: sample n is stamped start_s + n / 2000, however fast it is read."""

    performance: Performance
    start_s: float = 0.0
    chunk_samples: int = _CHUNK_SAMPLES

    @property
    def info(self) -> SourceInfo:
        """Raw samples of the worn bands."""
        name = f"simulated wearer {self.performance.user}"
        return SourceInfo(name, RATE_HZ, self.performance.sides, filtered=False)

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """The performance from its first sample to its last."""
        emg_uv, valid = self.performance.emg_uv, self.performance.valid
        for first in range(0, len(emg_uv), self.chunk_samples):
            part = slice(first, first + self.chunk_samples)
            index = np.arange(first, min(part.stop, len(emg_uv)))
            yield SampleChunk(first, self.start_s + index / RATE_HZ, emg_uv[part], valid[part])
            await asyncio.sleep(0)


@dataclass
class PerformanceKeys:
    """A KeySource: the performance's keys on the clock of its samples.

    start_s: gives the host time of the performance's first sample, once it is known.
    """

    performance: Performance
    start_s: Callable[[], float]
    _delivered: int = field(default=0, init=False)

    def until(self, time_s: float) -> list[KeyPress]:
        """The keys not delivered yet that were pressed by `time_s` (host seconds)."""
        start_s = self.start_s()
        due: list[KeyPress] = []
        for key in self.performance.keys[self._delivered :]:
            if start_s + key.press_s > time_s:
                break
            due.append(key._replace(press_s=start_s + key.press_s, release_s=start_s + key.release_s))
        self._delivered += len(due)
        return due
