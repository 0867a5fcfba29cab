"""Both bands as one source of samples, over all losses of their links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from edge.errors import QwristError, SourceLost
from edge.samples import RATE_HZ, SIDES, SampleChunk, Side, SourceInfo
from firmware_bridge.align import Aligner, AlignState
from firmware_bridge.backends import Backend
from firmware_bridge.lane import LaneReader, LinkStats
from firmware_bridge.link import Clock, LinkOptions
from firmware_bridge.scan import find
from firmware_bridge.supervise import AWAY, Life, Supervisor

__all__ = ["BandPair", "LinkStats", "open_pair"]

_LOOK_S: Final = 0.1  # how often silence is looked for
_LEAST_WAIT_S: Final = 0.002  # what a timer resolves


class BandPair:
    """A SampleSource over one or two supervised bands; it streams once."""

    def __init__(self, supervisors: Sequence[Supervisor], clock: Clock, woken: asyncio.Event) -> None:
        bands = [supervisor.band for supervisor in supervisors]
        self.info = SourceInfo(
            name=" and ".join(f"{band.name} {band.address}" for band in bands),
            rate_hz=RATE_HZ,
            sides=tuple(band.side for band in bands),
            filtered=False,
        )
        self._lanes = [LaneReader(supervisor) for supervisor in supervisors]
        self._clock = clock
        self._woken = woken
        self._aligner = Aligner(self.info.sides)
        self._state: AlignState = self._aligner.initial_state()
        self._begun = False
        self._looked_s = 0.0

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """Start the bands and iterate until they end.

        A band that disconnects, restarts, leaps ahead or sends nothing new and whole for 500 ms is connected
        to again, and goes on as a new segment; its neighbour goes on meanwhile. Raises SourceLost where it
        stays away for too long, BandRefused where it is not what it says; all that had arrived is delivered
        first.
        """
        if self._begun:
            raise RuntimeError("a BandPair streams once; connect again")
        self._begun = True
        try:
            for lane in self._lanes:
                await lane.start(self._begin)
            self._looked_s = self._clock()
            while True:
                self._woken.clear()
                loss = self._collect()
                for chunk in self._ready(flush=loss is not None):
                    yield chunk
                if loss is not None:
                    raise loss
                if all(lane.stream.ended for lane in self._lanes):
                    return
                await self._wait()
        finally:
            await self._stop()

    def stats(self) -> tuple[LinkStats, ...]:
        """The counters of each link, in the order of `info.sides`."""
        return tuple(lane.stats(self._state, self._aligner.clock) for lane in self._lanes)

    def _begin(self, wrist: int, index: int) -> None:
        self._state = self._aligner.begin(self._state, wrist, index)

    def _collect(self) -> QwristError | None:
        """Take what has arrived; give what ends the stream early, if something does."""
        now_s = self._clock()
        passed_s = min(now_s - self._looked_s, 2 * _LOOK_S)  # not what this process has slept through
        self._looked_s = now_s
        for lane in self._lanes:
            if lane.stream.ended:
                continue
            if (error := self._follow(lane, passed_s)) is not None:
                return error
            if lane.ping_due_s <= now_s:
                lane.ping()
        return None

    def _follow(self, lane: LaneReader, passed_s: float) -> QwristError | None:
        """Read a lane, and see to it that it is linked."""
        supervisor = lane.supervisor
        if supervisor.life is Life.GIVEN_UP:
            return supervisor.loss
        if supervisor.life in AWAY:
            return None
        try:
            if lane.link is not supervisor.link:
                self._state = lane.resume(self._state, self._aligner)
            self._state = lane.read(self._state, self._aligner)
            lane.watch(passed_s)
        except SourceLost as loss:
            if not supervisor.resumes:
                return loss
            self._state = self._aligner.leave(self._state, lane.wrist)
            supervisor.recover(loss, useful=lane.useful)
        except QwristError as refusal:
            return refusal
        return None

    def _ready(self, *, flush: bool) -> Iterator[SampleChunk]:
        if flush:
            for lane in self._lanes:
                self._state = self._aligner.end(self._state, lane.wrist)
        while True:
            self._state, chunk = self._aligner.pull(self._state)
            if chunk is None:
                return
            yield chunk

    async def _wait(self) -> None:
        """Until something arrives, or it is time to ask or to look who has been silent.

        A ping that waited for an arrival would leave just after a connection event, and wait for the next.
        """
        until_ping_s = min(lane.ping_due_s for lane in self._lanes) - self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOK_S, max(_LEAST_WAIT_S, until_ping_s))):
                await self._woken.wait()

    async def _stop(self) -> None:
        for lane in self._lanes:
            if lane.supervisor.link is not None:
                with suppress(QwristError):  # a band that is gone has stopped
                    await lane.supervisor.link.stop()


@asynccontextmanager
async def open_pair(
    sides: Sequence[Side],
    backend: Backend | None,
    clock: Clock,
    options: LinkOptions,
    scan_timeout_s: float,
    resume_s: float,
) -> AsyncIterator[BandPair]:
    """Find the bands of `sides` and connect to them, until the context ends. Raises as `connect` does."""
    woken = asyncio.Event()
    found = await find([side for side in SIDES if side in sides], scan_timeout_s, backend)
    supervisors = [
        Supervisor(band, options, clock=clock, wake=woken.set, backend=backend, resume_s=resume_s)
        for band in found
    ]
    try:
        for supervisor in supervisors:  # one after the other: adapters connect to one at a time
            await supervisor.open()
        yield BandPair(supervisors, clock, woken)
    finally:
        for supervisor in supervisors:
            await supervisor.close()
