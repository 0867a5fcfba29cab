"""Virtual bands, connected: what the tests over the real stack share."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import numpy as np

from edge.samples import SIDES, Bool, Float32, Float64
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec
from firmware_bridge.pair import LinkStats
from firmware_bridge.rig import Rig, virtual_bands


class Recording(NamedTuple):
    """All that a connection delivered."""

    time_s: Float64
    emg_uv: Float32
    valid: Bool
    stats: tuple[LinkStats, ...]
    start_s: float


def record(source, *, sides=SIDES, codec=Codec.PACK12, pause=None, **rig_options) -> Recording:
    """Stream `source` over virtual bands to its end, in a loop of its own."""
    return asyncio.run(_record(source, sides, codec, pause, rig_options))


async def _record(source, sides, codec, pause, rig_options) -> Recording:
    async with (
        virtual_bands(source, **rig_options) as rig,
        connect(sides, backend=rig.backend, clock=rig.clock, codec=codec, scan_timeout_s=2.0) as bands,
    ):
        return await read(rig, bands, pause)


async def read(rig: Rig, bands, pause=None) -> Recording:
    chunks = []
    async for chunk in bands.chunks():
        chunks.append(chunk)
        if pause is not None:
            await pause(len(chunks))
    names = ("time_s", "emg_uv", "valid")
    joined = [np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names]
    return Recording(*joined, bands.stats(), rig.start_s)
