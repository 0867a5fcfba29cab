"""Virtual bands on the air of this process, fed by any source: what stands in for two wrists."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from edge.extras import require
from edge.samples import RATE_HZ, SIDES, SampleChunk, SampleSource, Side
from firmware_bridge.backends import Backend

if TYPE_CHECKING:
    from firmware_bridge.virtual_air import VirtualAir
    from firmware_bridge.virtual_band import DuePacket, Faults, VirtualBand

_CENTRAL_ADDRESS: Final = "F0:51:57:00:00:00"
_MAX_BACKLOG: Final = 256  # notifications, 2.5 s at 517 bytes: then the virtual bands wait for the reader


class Rig:
    """Virtual bands that stream one source, and what a host needs to connect to them.

    Without a speed the bands send as fast as the link carries and the host reads, one packet at a time, and
    `clock` shows the time at which a band would have sent the packet that is under way. With a speed they
    send by the wall clock, and `clock` runs at the speed from the moment that they are switched on.
    """

    def __init__(
        self,
        source: SampleSource,
        bands: Mapping[Side, VirtualBand],
        air: VirtualAir,
        backend: Backend,
        *,
        speed: float | None,
        start_s: float,
    ) -> None:
        self.bands = bands
        self.backend = backend
        self._source = source
        self._air = air
        self._speed = speed
        self._now_s = start_s
        self._switched_on = (start_s, time.monotonic())  # the same moment on `clock` and on the wall's
        self._start_s = math.inf
        self._finished_s: float | None = None  # on the wall's clock

    @property
    def start_s(self) -> float:
        """When sample 0 was taken, on `clock`; infinite until the bands have started."""
        return self._start_s

    def clock(self) -> float:
        """Now, in seconds."""
        if self._speed is not None:
            clock_s, wall_s = self._switched_on
            return clock_s + (time.monotonic() - wall_s) * self._speed
        if self._finished_s is not None:  # silence lasts: whoever waits for more must see time pass
            return self._now_s + time.monotonic() - self._finished_s
        return self._now_s

    async def stream(self) -> None:
        """Wait until every band was told to START, then send the source to its end."""
        try:
            for band in self.bands.values():
                await band.started.wait()
            self._start_s = self.clock()
            async for chunk in self._source.chunks():
                await self._send_chunk(chunk)
                if not any(band.streaming for band in self.bands.values()):
                    return
            await self._send_due([(band, due) for band in self.bands.values() for due in band.pack_end()])
        except Exception:
            for band in self.bands.values():  # the host sees a lost link, the caller this error
                await band.disconnect()
            raise
        finally:
            self._finished_s = time.monotonic()
            for band in self.bands.values():
                band.exhausted = True

    async def _send_chunk(self, chunk: SampleChunk) -> None:
        packets = [
            (band, due)
            for side, band in self.bands.items()
            for due in band.pack(chunk.emg_uv[:, SIDES.index(side)], chunk.valid[:, SIDES.index(side)])
        ]
        await self._send_due(packets)

    async def _send_due(self, packets: Sequence[tuple[VirtualBand, DuePacket]]) -> None:
        for band, due in sorted(packets, key=lambda item: item[1].at_index):
            await self._wait_until(self._start_s + due.at_index / RATE_HZ)
            await band.send(due.packet, may_drop=self._speed is not None)

    async def _wait_until(self, time_s: float) -> None:
        if self._speed is not None:
            await asyncio.sleep(max(0.0, time_s - self.clock()) / self._speed)
            return
        await self._air.quiet()
        while any(backlog() >= _MAX_BACKLOG for backlog in self.backend.backlogs):  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # the reader has no way to call us: bleak's API has no flow control
        self._now_s = time_s


@asynccontextmanager
async def virtual_bands(
    source: SampleSource,
    *,
    sides: Sequence[Side] | None = None,
    speed: float | None = None,
    mtu: int = 517,
    start_s: float = 0.0,
    faults: Mapping[Side, Faults] | None = None,
) -> AsyncIterator[Rig]:
    """Put a band for each side of `source` on the air until the context ends.

    Args:
        source: what the wrists do; its times are not used, its samples are counted.
        sides: the bands to switch on, those of the source unless given.
        speed: 1.0 for real time; None for as fast as the link carries it, on a virtual clock.
        mtu: the largest ATT MTU that the bands agree to.
        start_s: what the rig's clock shows when the bands are switched on.
        faults: packets to lose, repeat or damage, for tests of what follows.
    """
    require("bumble", "sim")
    require("bleak", "sim")
    from bumble.device import Device
    from bumble.hci import Address

    from firmware_bridge.backends.bumble import bumble_backend
    from firmware_bridge.virtual_air import VirtualAir, VirtualController
    from firmware_bridge.virtual_band import NO_FAULTS, VirtualBand

    air = VirtualAir()
    bands = {
        side: VirtualBand(side, air, mtu=mtu, faults=(faults or {}).get(side, NO_FAULTS))
        for side in sides or source.info.sides
    }
    controller = VirtualController("central", air)
    central = Device.with_hci("qwrist", Address(_CENTRAL_ADDRESS), controller, controller)
    await central.power_on()
    for band in bands.values():
        await band.power_on()
    rig = Rig(source, bands, air, bumble_backend(central), speed=speed, start_s=start_s)
    streaming = asyncio.create_task(rig.stream())
    try:
        yield rig
        if streaming.done():
            streaming.result()  # the source's own error, if that is what ended it
    finally:
        streaming.cancel()
        await asyncio.gather(streaming, return_exceptions=True)
        for band in bands.values():
            await band.power_off()
        await air.quiet()
        await central.power_off()
