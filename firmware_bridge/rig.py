"""Virtual bands on the air of this process, fed by any source: what stands in for two wrists."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from edge.extras import require
from edge.samples import RATE_HZ, SIDES, SampleChunk, SampleSource, Side
from firmware_bridge.backends import Backend
from firmware_bridge.band_script import NO_SCRIPT, Script, Step
from firmware_bridge.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from bumble.gatt import Service

    from firmware_bridge.virtual_air import VirtualAir, VirtualController
    from firmware_bridge.virtual_band import Faults, VirtualBand
    from firmware_bridge.virtual_sampler import DuePacket

_CENTRAL_ADDRESS: Final = "F0:51:57:00:00:00"
_MAX_BACKLOG: Final = 256  # notifications, 2.5 s at 517 bytes: then the virtual bands wait for the reader
HOLD_S: Final = 10.0  # of the wall's clock: longer than a host's back-off, shorter than anybody's patience


class Rig:
    """Virtual bands that stream one source, and what a host needs to connect to them.

    The source begins when every band has been started, or the first one without `wait_for_all`.

    Without a speed time is virtual: it begins with the source, and moves as fast as the link carries and the
    host reads, packet by packet; `clock` shows the time at which a band would have sent the packet that is
    under way. It stands still while a band whose stream broke off is in reach and its host has not come
    back, for `hold_s` of the wall's clock at most, and while no band is listened to: finding and connecting
    take no virtual time. A band that a script takes away is away for so many samples of it while its
    neighbour goes on. Connection events of a paced radio come in this time too; while it stands still,
    packets do not wait for them. All this is the same in every run, as far as the host is.

    With a speed, time runs at that many times the wall's from the moment that the bands are switched on, and
    waits for nobody once the source has begun. A band that was started before its neighbour counts no
    samples until then.
    """

    def __init__(
        self,
        source: SampleSource,
        bands: Mapping[Side, VirtualBand],
        air: VirtualAir | None = None,
        backend: Backend | None = None,
        *,
        clock: VirtualClock,
        script: Script = NO_SCRIPT,
        hold_s: float = HOLD_S,
        wait_for_all: bool = True,
        on_step: Callable[[Step], None] = lambda _: None,  # ticks since the source began
    ) -> None:
        self.bands = bands
        self.backend = backend
        self.clock = clock
        self._source = source
        self._air = air
        self._hold_s = hold_s
        self._wait_for_all = wait_for_all
        self._on_step = on_step
        self._script = script
        self._steps: deque[Step] = deque()
        self._start_tick: int | None = None
        self._tick = 0  # of the next sample of the source

    @property
    def start_s(self) -> float:
        """When sample 0 was taken, on `clock`; infinite until the source has begun."""
        return math.inf if self._start_tick is None else self.clock.time_s(self._start_tick)

    async def stream(self) -> None:
        """Wait for START, then send the source to its end."""
        radios = [asyncio.create_task(self._run_radio(controller)) for controller in self._controllers()]
        try:
            await self._begin()
            async for chunk in self._source.chunks():
                await self._play(chunk)
            await self._play_out()
            for band in self.bands.values():
                band.finish()
            await self._quiet()
        except Exception:
            for band in self.bands.values():  # the host sees a lost link, the caller this error
                await band.disconnect()
            raise
        finally:
            self.clock.set_free()
            for band in self.bands.values():
                band.exhausted = True
            for radio in radios:
                radio.cancel()
            for controller in self._controllers():
                controller.set_pacing(running=False)

    async def _begin(self) -> None:
        bands = list(self.bands.values())
        await _started(bands, asyncio.ALL_COMPLETED if self._wait_for_all else asyncio.FIRST_COMPLETED)
        self._start_tick = self._tick = math.ceil(self.clock.tick())
        for band in bands:
            band.wait_until(self._tick)
        self._steps = deque(
            step._replace(tick=self._tick + step.tick)
            for step in self._script.steps()
            if step.side in self.bands
        )
        self._set_pacing(running=True)

    async def _play(self, chunk: SampleChunk) -> None:
        first, stop = self._tick, self._tick + len(chunk.valid)
        while self._tick < stop:
            await self._follow_script()
            await self._move_to(self._tick)
            until = min(stop, self._steps[0].tick) if self._steps else stop
            rows = slice(self._tick - first, until - first)
            await self._send(
                (band, due)
                for side, band in self.bands.items()
                for due in band.pack(
                    self._tick, chunk.emg_uv[rows, SIDES.index(side)], chunk.valid[rows, SIDES.index(side)]
                )
            )
            self._tick = until
        for band in self.bands.values():
            await band.look_at_battery()

    async def _play_out(self) -> None:
        """The end, to every band that is listened to; to those that are away when they are back."""
        await self._follow_script()
        await self._move_to(self._tick)
        await self._send_end(list(self.bands.values()))
        while self._steps and (away := [band for band in self.bands.values() if not band.in_reach]):
            self._tick = self._steps[0].tick
            await self._follow_script()
            await self._move_to(self._tick)
            await self._send_end([band for band in away if band.in_reach])

    async def _send_end(self, bands: Sequence[VirtualBand]) -> None:
        await self._send((band, due) for band in bands for due in band.pack_end())
        await self._empty_radios()

    async def _follow_script(self) -> None:
        while self._steps and self._steps[0].tick <= self._tick:
            step = self._steps.popleft()
            await self._move_to(step.tick)
            await self.bands[step.side].apply(step.change)
            self._on_step(step._replace(tick=step.tick - (self._start_tick or 0)))
            self._set_pacing(running=True)

    async def _send(self, packets: Iterable[tuple[VirtualBand, DuePacket]]) -> None:
        for band, due in sorted(packets, key=lambda item: item[1].due_tick):
            await self._move_to(due.due_tick)
            await band.send(due.packet)

    async def _move_to(self, tick: float) -> None:
        """Let time pass until `tick`, and what falls due before it happen."""
        if self.clock.speed is not None:
            await asyncio.sleep(max(0.0, tick - self.clock.tick()) / (self.clock.speed * RATE_HZ))
            return
        while True:
            await self._settle()
            event_tick, controller = self._next_event()
            if controller is None or event_tick > tick:
                break
            self.clock.move_to(event_tick)
            controller.connection_event()
        self.clock.move_to(tick)

    async def _settle(self) -> None:
        """Wait until all that was sent has been read, and everybody is here who is to be waited for."""
        await self._quiet()
        bands = [band for band in self.bands.values() if not band.exhausted]
        if any(band.awaited for band in bands):
            await self._hold([band for band in bands if band.awaited])
        if not any(band.streaming or not band.in_reach for band in bands):
            await _started(bands, asyncio.FIRST_COMPLETED)

    async def _hold(self, awaited: Sequence[VirtualBand]) -> None:
        self._set_pacing(running=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._hold_s):
                for band in awaited:
                    await band.started.wait()
        for band in awaited:
            if band.awaited:
                band.give_up()
        await self._quiet()
        self._set_pacing(running=True)

    async def _quiet(self) -> None:
        if self._air is not None:
            await self._air.quiet()
        backlogs = [] if self.backend is None else self.backend.backlogs
        while any(backlog() >= _MAX_BACKLOG for backlog in backlogs):  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # the reader has no way to call us: bleak's API has no flow control

    def _controllers(self) -> list[VirtualController]:
        return [band.controller for band in self.bands.values() if band.controller is not None]

    def _set_pacing(self, *, running: bool) -> None:
        """Connection events come in virtual time: while that stands still, packets do not wait for any."""
        for controller in self._controllers():
            controller.set_pacing(running=running or self.clock.speed is not None)

    def _next_event(self) -> tuple[float, VirtualController | None]:
        """The next connection event that has something to send."""
        now = self.clock.tick()
        events = [(controller.next_event(now), controller) for controller in self._controllers()]
        return min(events, key=lambda event: event[0], default=(math.inf, None))

    async def _empty_radios(self) -> None:
        """Let time pass until nothing waits for a connection event."""
        while (event_tick := self._next_event()[0]) < math.inf:
            await self._move_to(event_tick)

    async def _run_radio(self, controller: VirtualController) -> None:
        """Connection events by the wall's clock."""
        while self.clock.speed is not None:
            await controller.waiting.wait()
            await self._move_to(controller.next_event(self.clock.tick()))
            controller.connection_event()


async def _started(bands: Sequence[VirtualBand], return_when: str) -> None:
    """Wait until bands are streaming; of none there is nothing to wait for."""
    waiting = [asyncio.create_task(band.started.wait()) for band in bands]
    try:
        if waiting:
            await asyncio.wait(waiting, return_when=return_when)
    finally:
        for task in waiting:
            task.cancel()


@asynccontextmanager
async def virtual_bands(
    source: SampleSource,
    *,
    sides: Sequence[Side] | None = None,
    speed: float | None = None,
    mtu: int = 517,
    start_s: float = 0.0,
    faults: Mapping[Side, Faults] | None = None,
    script: Script = NO_SCRIPT,
    hold_s: float = HOLD_S,
    encrypted: bool = False,
    more_services: Callable[[Side], Sequence[Service]] = lambda _: (),
    wait_for_all: bool = True,
) -> AsyncIterator[Rig]:
    """Put a band for each side of `source` on the air until the context ends.

    Args:
        source: what the wrists do; its times are not used, its samples are counted.
        sides: the bands to switch on, those of the source unless given.
        speed: 1.0 for real time; None for as fast as the link carries it, on a virtual clock.
        mtu: the largest ATT MTU that the bands agree to.
        start_s: what the rig's clock shows when the bands are switched on.
        faults: packets to lose, repeat or damage, for tests of what follows.
        script: what happens to the bands, and when.
        hold_s: how long virtual time waits for a host to come back, by the wall's clock.
        encrypted: CONTROL and STATUS are for hosts that have paired.
        more_services: that a band of this side has as well.
        wait_for_all: begin when every band has been started, not when the first has.
    """
    require("bumble", "sim")
    require("bleak", "sim")
    from firmware_bridge.virtual_air import VirtualAir, VirtualController
    from firmware_bridge.virtual_band import NO_FAULTS, BandOptions, VirtualBand

    air, clock = VirtualAir(), VirtualClock(start_s, speed)
    bands = {
        side: VirtualBand(
            side,
            VirtualController(f"{side} band", air),
            clock,
            BandOptions(
                mtu=mtu,
                faults=(faults or {}).get(side, NO_FAULTS),
                claims=script.claims(side),
                seed=script.seed,
                encrypted=encrypted,
                more_services=more_services(side),
            ),
        )
        for side in sides or source.info.sides
    }
    async with _central(air) as backend:
        rig = Rig(
            source, bands, air, backend, clock=clock, script=script, hold_s=hold_s, wait_for_all=wait_for_all
        )
        async with switched_on(rig):
            yield rig
        await air.quiet()


@asynccontextmanager
async def _central(air: VirtualAir) -> AsyncIterator[Backend]:
    """A host's Bluetooth on `air`."""
    from bumble.device import Device
    from bumble.hci import Address

    from firmware_bridge.backends.bumble import bumble_backend
    from firmware_bridge.virtual_air import VirtualController

    controller = VirtualController("central", air)
    central = Device.with_hci("qwrist", Address(_CENTRAL_ADDRESS), controller, controller)
    await central.power_on()
    yield bumble_backend(central)
    await central.power_off()


@asynccontextmanager
async def switched_on(rig: Rig) -> AsyncIterator[asyncio.Task[None]]:
    """The rig's bands on the air until the context ends, and the task that sends the source to its end.

    Raises the source's own error, if that is what ended it.
    """
    for band in rig.bands.values():
        await band.power_on()
    streaming = asyncio.create_task(rig.stream())
    try:
        yield streaming
        if streaming.done():
            streaming.result()
    finally:
        streaming.cancel()
        await asyncio.gather(streaming, return_exceptions=True)
        for band in rig.bands.values():
            await band.power_off()
