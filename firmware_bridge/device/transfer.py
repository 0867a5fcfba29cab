"""One chunk on its way in and its result on its way out, over one connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, assert_never

from firmware_bridge.device import trial_messages as wire
from firmware_bridge.device.errors import DeviceRefused
from firmware_bridge.device.line import Line, LineDropped
from firmware_bridge.device.trial_messages import (
    CRC_BYTES,
    Answer,
    Begins,
    Operation,
    Part,
    Piece,
    Reason,
    Refused,
    Standing,
    Taken,
)
from firmware_bridge.errors import BadPacket


class Forgotten(Exception):
    """The device does not know the session: it restarted, or served another host."""

    def __str__(self) -> str:
        return "it has forgotten the session"


class Patience(NamedTuple):
    """How long a host waits, and how often it tries."""

    silence_s: float = 2.0  # then it asks how far the device has come: an interval is 0.05 s at most
    run_s: float = 120.0  # that a device may take for one call, loading included: edge.runtimes.process
    tries: int = 5  # in a row with which nothing is achieved
    backoff_s: float = 0.5  # after a lost link, doubled each time


PATIENT: Final = Patience()


class Job(NamedTuple):
    """What is to be run."""

    session: int
    chunk: int
    begins: Begins
    content: bytes  # sealed
    result_bytes: int  # of what comes back, without its CRC-32


@dataclass
class Transfer:
    """Sends as far as the window allows, goes back where the device misses something, collects the result."""

    line: Line
    job: Job
    window_bytes: int
    ask: Callable[[Operation], Awaitable[Answer]]
    patience: Patience
    _sent: int = 0
    _taken: int = 0  # as the device acknowledged
    _result: bytearray = field(default_factory=bytearray)
    _fetched: int = -1  # the offset that was last asked for
    _failures: int = 0  # damaged either way

    async def run(self, standing: Standing | None) -> bytes:
        """The result, of which `result_bytes` are known to be right.

        `standing` is what the device said last, where some of it may have gone before. Raises LineDropped,
        Forgotten, DeviceRefused.
        """
        if standing is not None:
            await self._follow(standing)
        while True:
            await self._send()
            output = await self._next_output()
            if output is not None and (output.session, output.chunk) == (self.job.session, self.job.chunk):
                await self._on_output(output)
            missing = self.job.result_bytes + CRC_BYTES - len(self._result)
            if missing < 0:
                raise DeviceRefused(f"{self.line.name} sends {-missing} bytes more than a result has")
            if not missing:
                try:
                    return wire.unsealed(bytes(self._result))
                except BadPacket as error:
                    self._failed(str(error))
                    self._result.clear()
                    await self._fetch()

    async def _send(self) -> None:
        """As much as the window allows, and until the device has something to say."""
        room = self.line.room(wire.INPUT) - wire.PIECE_OVERHEAD_BYTES
        if room < 1:
            raise DeviceRefused(f"{self.line.name} agreed to too small an MTU; {room} bytes fit a piece")
        job = self.job
        while self._sent < len(job.content) and self._sent + room - self._taken <= self.window_bytes:
            if self.line.waiting:
                return
            data = job.content[self._sent : self._sent + room]
            piece = Piece(job.session, job.chunk, job.begins, self._sent, data)
            await self.line.write(wire.INPUT, wire.encode_piece(piece))
            self._sent += len(data)

    async def _next_output(self) -> wire.Output | None:
        """What the device says next; None once it had to be asked how far it is."""
        value = await self.line.told(self.patience.silence_s)
        if value is not None:
            return wire.decode_output(value)
        waited_s, before = self.patience.silence_s, (self._taken, len(self._result))
        while (standing := await self._where()).running:
            if waited_s > self.patience.run_s:
                raise DeviceRefused(f"{self.line.name} has run one call for {waited_s:g} s; is it stuck?")
            value = await self.line.told(self.patience.silence_s)
            if value is not None:
                return wire.decode_output(value)
            waited_s += self.patience.silence_s
        await self._follow(standing)
        if (self._taken, len(self._result)) == before:
            self._failed("it says nothing", LineDropped)
        return None

    async def _on_output(self, output: wire.Output) -> None:
        match output:
            case Taken(_, _, offset, gap):
                self._taken = max(self._taken, offset)
                if gap:
                    self._sent = self._taken = offset
            case Part(_, _, offset, data):
                self._sent = len(self.job.content)
                if offset == len(self._result):
                    self._result += data
                elif offset > len(self._result) != self._fetched:
                    await self._fetch()
            case Refused(_, _, Reason.DAMAGED, text):
                self._failed(text)
                self._sent = self._taken = 0
            case Refused(_, _, Reason.NO_SESSION, _):
                raise Forgotten
            case Refused(_, chunk, reason, text):
                raise DeviceRefused(f"{self.line.name} refuses chunk {chunk}: {reason.name}, {text}")
            case _:
                assert_never(output)

    async def _where(self) -> Standing:
        standing = await self.ask(wire.Where())
        if not isinstance(standing, Standing) or standing.session != self.job.session:
            raise Forgotten
        return standing

    async def _follow(self, standing: Standing) -> None:
        """Go on from where the device stands."""
        if standing.chunk == self.job.chunk:
            whole = len(self.job.content)
            self._sent = self._taken = whole if standing.running else min(standing.offset, whole)
        elif standing.chunk == self.job.chunk + 1:
            self._sent = self._taken = len(self.job.content)
            await self._fetch()
        else:
            raise Forgotten

    async def _fetch(self) -> None:
        """Ask for what is missing of the result."""
        self._fetched = len(self._result)
        await self.ask(wire.Fetch(self.job.session, self.job.chunk, self._fetched))

    def _failed(self, why: str, error: type[DeviceRefused] | type[LineDropped] = DeviceRefused) -> None:
        self._failures += 1
        if self._failures > self.patience.tries:
            raise error(f"{self.line.name}: chunk {self.job.chunk} failed {self._failures} times ({why})")
