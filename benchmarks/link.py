"""How much faster than real time two virtual bands stream through the whole stack, by codec and MTU.

Bands, central, bleak's API and alignment run in one process; the CPU figure is for all of them:
`python benchmarks/link.py [seconds of EMG]`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np

from edge.samples import RATE_HZ, SIDES, WRISTS, Float32, SampleChunk, SourceInfo
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands

CHUNK = 64  # samples


class Noise:
    """Samples of typing strength, made beforehand."""

    info = SourceInfo("noise", RATE_HZ, SIDES, filtered=False)

    def __init__(self, seconds: float) -> None:
        shape = (int(seconds * RATE_HZ), WRISTS, 16)
        self.emg_uv: Float32 = np.random.default_rng(0).normal(0, 80, shape).astype(np.float32)

    async def chunks(self) -> AsyncIterator[SampleChunk]:
        for start in range(0, len(self.emg_uv), CHUNK):
            emg_uv = self.emg_uv[start : start + CHUNK]
            times = (start + np.arange(len(emg_uv))) / RATE_HZ
            yield SampleChunk(start, times, emg_uv, np.ones((len(emg_uv), WRISTS), np.bool_))


class Run(NamedTuple):
    """One measurement."""

    wall_s: float
    cpu_s: float
    samples: int
    lost: int
    packets: int


async def measure(source: Noise, codec: Codec, mtu: int) -> Run:
    async with (
        virtual_bands(source, mtu=mtu) as rig,
        connect(backend=rig.backend, clock=rig.clock, codec=codec) as bands,
    ):
        wall_s, cpu_s, samples = time.perf_counter(), time.process_time(), 0
        async for chunk in bands.chunks():
            samples += int(chunk.valid.sum())
        stats = bands.stats()
        return Run(
            time.perf_counter() - wall_s,
            time.process_time() - cpu_s,
            samples,
            sum(s.lost for s in stats),
            sum(s.packets for s in stats),
        )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    source = Noise(seconds)
    print(f"{seconds:g} s of both bands; times real time")
    print("codec   MTU  packets/s  kB/s  x CPU  x wall  lost")
    for codec in Codec:
        for mtu in (100, 185, 247, 517):
            run = asyncio.run(measure(source, codec, mtu))
            assert run.samples == WRISTS * len(source.emg_uv), "samples went missing"
            kilobytes = (run.packets * 12 + run.samples * codec.sample_bytes) / 1000
            print(
                f"{codec.name.lower():6} {mtu:4} {run.packets / seconds:10.0f} {kilobytes / seconds:5.0f} "
                f"{seconds / run.cpu_s:6.1f} {seconds / run.wall_s:7.1f} {run.lost:5}"
            )


if __name__ == "__main__":
    main()
