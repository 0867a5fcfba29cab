"""A source of known samples."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np

from edge.samples import RATE_HZ, SIDES, WRISTS, Bool, Float32, SampleChunk, Side, SourceInfo


def noise_uv(samples: int, seed: int = 0) -> Float32:
    """(T, W, E) microvolts of typing strength."""
    return np.random.default_rng(seed).normal(0, 80, (samples, WRISTS, 16)).astype(np.float32)


class ArraySource:
    """Delivers an array, `chunk` samples at a time."""

    def __init__(
        self,
        emg_uv: Float32,
        valid: Bool | None = None,
        *,
        sides: tuple[Side, ...] = SIDES,
        chunk: int = 50,
        fails_at: int | None = None,
    ) -> None:
        self.emg_uv = emg_uv
        self.valid = np.ones(emg_uv.shape[:2], np.bool_) if valid is None else valid
        self.info = SourceInfo("array", RATE_HZ, sides, filtered=False)
        self._chunk = chunk
        self._fails_at = fails_at

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        for start in range(0, len(self.emg_uv), self._chunk):
            if self._fails_at is not None and start >= self._fails_at:
                raise RuntimeError("the source broke")
            emg_uv = self.emg_uv[start : start + self._chunk]
            time_s = (start + np.arange(len(emg_uv))) / RATE_HZ
            yield SampleChunk(start, time_s, emg_uv, self.valid[start : start + self._chunk])
