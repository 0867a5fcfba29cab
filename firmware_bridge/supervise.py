"""One band's life: a connection, and after each loss another, until the band stays away for too long."""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable, Iterator
from typing import Final

from edge.errors import QwristError, SourceLost
from firmware_bridge.backends import Backend
from firmware_bridge.errors import BandNotFound, BluetoothUnavailable
from firmware_bridge.link import BandLink, Clock, LinkOptions
from firmware_bridge.scan import FoundBand, find_again

RESUME_S: Final = 60.0  # a walk to the next room and back
_LOOK_S: Final = 5.0  # a scan; while it lasts, the other band's link may stall
_PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0)  # before each attempt; the last for all that follow
_JITTER: Final = 0.2  # of a pause: two bands lost together are not looked for in step

_PASSING: Final = (SourceLost, BandNotFound, BluetoothUnavailable)  # what trying again may cure


class Life(enum.Enum):
    """Where a band stands."""

    NEW = enum.auto()
    LINKED = enum.auto()
    PAUSING = enum.auto()
    SCANNING = enum.auto()
    CONNECTING = enum.auto()
    GIVEN_UP = enum.auto()
    CLOSED = enum.auto()


AWAY: Final = frozenset({Life.PAUSING, Life.SCANNING, Life.CONNECTING})


class Supervisor:
    """Keeps one band linked. `link` is the present connection, None while there is none.

    Each connection is a new BandLink with a client of its own; the one before is closed first, whatever
    became of it.
    """

    def __init__(
        self,
        band: FoundBand,
        options: LinkOptions,
        *,
        clock: Clock,
        wake: Callable[[], None],
        backend: Backend | None = None,
        resume_s: float = RESUME_S,
    ) -> None:
        self.band = band
        self.life = Life.NEW
        self.link: BandLink | None = None
        self.reconnects = 0
        self.loss: QwristError | None = None  # what ended it
        self._options = options
        self._clock = clock
        self._wake = wake
        self._backend = backend
        self._resume_s = resume_s
        self._recovering: asyncio.Task[None] | None = None
        self._lost_at_s = 0.0  # on the loop's clock: since when nothing of use has come
        self._pauses = pauses()

    @property
    def resumes(self) -> bool:
        """Whether a band that is lost is looked for."""
        return self._resume_s > 0

    async def open(self) -> None:
        """Connect for the first time. Raises SourceLost, BandRefused."""
        self.life = Life.CONNECTING
        await self._open(self.band)
        self.life = Life.LINKED

    def recover(self, loss: SourceLost, *, useful: bool) -> None:
        """Look for the band again; `wake` is called once it streams, or once it is given up.

        useful: whether the link that is gone has brought samples. Where it has not, connecting was of no
        avail: patience and pauses go on from the loss before.
        """
        self.life = Life.PAUSING
        if useful:
            self._lost_at_s = asyncio.get_running_loop().time()
            self._pauses = pauses()
        link, self.link = self.link, None
        self._recovering = asyncio.create_task(self._recover(link, loss))

    async def close(self) -> None:
        """Leave no connection and no task behind; never raises."""
        self.life = Life.CLOSED
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.gather(self._recovering, return_exceptions=True)
        await self._close(self.link)
        self.link = None

    async def _open(self, band: FoundBand) -> None:
        link = BandLink(band, self._options, clock=self._clock, wake=self._wake, backend=self._backend)
        if self._backend is not None:
            self._backend.backlogs.append(link.backlog)
        try:
            await link.open()
        except BaseException:
            await self._close(link)
            raise
        self.link = link

    async def _close(self, link: BandLink | None) -> None:
        if link is None:
            return
        if self._backend is not None:
            self._backend.backlogs.remove(link.backlog)
        await link.close()

    async def _recover(self, link: BandLink | None, loss: SourceLost) -> None:
        await self._close(link)
        try:
            async with asyncio.timeout_at(self._lost_at_s + self._resume_s):
                await self._until_back()
        except TimeoutError:
            self._give_up(SourceLost(f"{loss}; it was looked for during {self._resume_s:g} s"))
        except QwristError as error:
            self._give_up(error)
        except Exception as error:  # noqa: BLE001  (a stack's own: waiting for ever is worse)
            lost = SourceLost(f"{loss}; looking for it failed: {type(error).__name__}: {error}")
            lost.__cause__ = error
            self._give_up(lost)
        else:
            self.reconnects += 1
            self.life = Life.LINKED
        self._wake()

    async def _until_back(self) -> None:
        for pause_s in self._pauses:
            self.life = Life.PAUSING
            self._check_controller()
            await asyncio.sleep(pause_s)
            try:
                self.life = Life.SCANNING
                band = await find_again(self.band, _LOOK_S, self._backend)
                self.life = Life.CONNECTING
                await self._open(band)
                await self._start()
            except _PASSING:
                continue
            return

    def _check_controller(self) -> None:
        """Raise SourceLost where there is nothing left to look with."""
        if self._backend is not None and (why := self._backend.gone()) is not None:
            raise SourceLost(f"the {self.band.side} band was lost: {why}")

    async def _start(self) -> None:
        link = self.link
        if link is None:
            raise RuntimeError("no link was opened")
        try:
            await link.start()
        except BaseException:
            self.link = None
            await self._close(link)
            raise

    def _give_up(self, loss: QwristError) -> None:
        self.life = Life.GIVEN_UP
        self.loss = loss


def pauses() -> Iterator[float]:
    """Seconds to wait before each attempt, without end."""
    yield from (pause_s * random.uniform(1 - _JITTER, 1 + _JITTER) for pause_s in _PAUSES_S)
    while True:
        yield _PAUSES_S[-1] * random.uniform(1 - _JITTER, 1 + _JITTER)
