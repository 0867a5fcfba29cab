"""Two bands through the link, against the 128 kB/s that 32 electrodes of 16 bits at 2 kHz are.

T1 is bleak's API over a whole Bluetooth stack in this process; T2 is bleak's BlueZ backend over a private
bus, values by signal (StartNotify) or by socket (AcquireNotify). Samples are a simulated wearer's. Throughput
is as fast as the link carries; the processor's time is of everything, bands and Bluetooth stack included, but
for the last table: there the bands run in another process, in real time, and the host alone is counted.

`python benchmarks/link.py [seconds of EMG] [runs]`; needs dbus-daemon.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # the service of T2 is a test's, and tests are not installed

from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus
from dbus_fast.aio import MessageBus

from edge.samples import WRISTS
from firmware_bridge.backends import Backend
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec
from firmware_bridge.pair import BandPair
from firmware_bridge.rig import Rig, virtual_bands
from simulate.source import PerformanceSource
from simulate.wearer import Performance, Wearer
from tests.firmware_bridge.bluez.bus import private_bus
from tests.firmware_bridge.bluez.service import BluezService
from tests.firmware_bridge.bluez.test_bluez import AcquiringClient

NEEDED_KB_S = 128.0  # 2 bands x 16 electrodes x 2 bytes x 2 kHz
WEARER = 1
IN_FLIGHT = 32  # values that the bus may hold before the virtual bands wait
CLIENTS = {"StartNotify": BleakClientBlueZDBus, "AcquireNotify": AcquiringClient}
_WAITS = 1 << 20  # more than any backlog that is let pass


class Run(NamedTuple):
    """One measurement."""

    wall_s: float
    cpu_s: float
    wire_bytes: int
    missing: int


@asynccontextmanager
async def over_bluez(rig: Rig, client: type[BleakClientBlueZDBus]) -> AsyncIterator[Backend]:
    """The rig's air through an org.bluez service."""
    bus = await MessageBus(
        bus_address=os.environ["DBUS_SYSTEM_BUS_ADDRESS"], negotiate_unix_fd=True
    ).connect()
    service = BluezService(bus, rig.backend.client.device)
    await service.start()
    rig.backend.backlogs.append(lambda: _WAITS if service.in_flight() >= IN_FLIGHT else 0)
    try:
        yield Backend(BleakScannerBlueZDBus, client, rig.backend.backlogs)
    finally:
        bus.disconnect()


@asynccontextmanager
async def in_process(rig: Rig) -> AsyncIterator[Backend]:
    """The rig's air as it is."""
    yield rig.backend


async def flood(source: PerformanceSource, codec: Codec, mtu: int, client: type | None) -> Run:
    """As fast as the link carries."""
    async with (
        virtual_bands(source, mtu=mtu) as rig,
        in_process(rig) if client is None else over_bluez(rig, client) as backend,
        connect(backend=backend, clock=rig.clock, codec=codec) as bands,
    ):
        return await taken(bands)


async def taken(bands: BandPair) -> Run:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    async for _ in bands.chunks():
        pass
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    stats = bands.stats()
    return Run(wall_s, cpu_s, sum(s.payload_bytes for s in stats), sum(s.missing_samples for s in stats))


async def real_time(codec: Codec, client: type[BleakClientBlueZDBus]) -> Run:
    """The host alone; the bands are another process's."""
    backend = Backend(BleakScannerBlueZDBus, client, [])
    async with connect(backend=backend, codec=codec) as bands:
        return await taken(bands)


async def be_the_bands(performance: Performance) -> None:
    """In the other process: bands in real time behind BlueZ, until they have sent all."""
    async with (
        virtual_bands(PerformanceSource(performance), speed=1.0) as rig,
        over_bluez(rig, BleakClientBlueZDBus),
    ):
        print("on the air", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def median(runs: list[Run], figure: Callable[[Run], float]) -> float:
    return statistics.median(figure(run) for run in runs)


def throughput(performance: Performance, runs: int) -> None:
    seconds = performance.duration_s
    samples = WRISTS * len(performance.emg_uv)
    print("| tier | codec | MTU | kB/s as int16 | x need | on air, kB/s at 1x | CPU at 1x, % of a core |")
    print("|---|---|---|---|---|---|---|")
    tiers = [("T1", None), *((f"T2, {name}", client) for name, client in CLIENTS.items())]
    for tier, client in tiers:
        for codec in Codec:
            for mtu in (185, 247, 517):
                source = PerformanceSource(performance)
                found = [asyncio.run(flood(source, codec, mtu, client)) for _ in range(runs)]
                assert not any(run.missing for run in found), "samples went missing"
                carried = median(found, lambda run: 32 * samples / 1000 / run.wall_s)
                wire = median(found, lambda run: run.wire_bytes / 1000 / seconds)
                cpu = median(found, lambda run: 100 * run.cpu_s / seconds)
                figures = f"{carried:.0f} | {carried / NEEDED_KB_S:.1f} | {wire:.1f} | {cpu:.0f}"
                print(f"| {tier} | {codec.name.lower()} | {mtu} | {figures} |", flush=True)


def host_alone(seconds: float) -> None:
    print("\n| codec | values by | host's CPU a band, % of a core | missing samples |\n|---|---|---|---|")
    for codec in Codec:
        for name, client in CLIENTS.items():
            child = subprocess.Popen(
                [sys.executable, __file__, "--bands", str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()
            run = asyncio.run(real_time(codec, client))
            child.communicate(b"\n")
            share = 100 * run.cpu_s / seconds / WRISTS
            print(f"| {codec.name.lower()} | {name} | {share:.1f} | {run.missing} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--bands"]:
        asyncio.run(be_the_bands(Wearer(WEARER).perform(0, duration_s=float(sys.argv[2]))))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    performance = Wearer(WEARER).perform(0, duration_s=seconds)
    with private_bus() as address:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
        throughput(performance, runs)
        host_alone(min(seconds, 10.0))


if __name__ == "__main__":
    main()
