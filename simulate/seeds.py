"""Independent random streams: each purpose draws from its own, so that changing one moves no other."""

from __future__ import annotations

import zlib

import numpy as np


def stream(purpose: str, *numbers: int) -> np.random.Generator:
    """The generator that `purpose` and non-negative `numbers` (user, session, wrist) name."""
    return np.random.default_rng([zlib.crc32(purpose.encode()), *numbers])
