"""Chunks run on a device, over as many connections as that takes: the host's side of DEVICE-TEST."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

from firmware_bridge.control import Result
from firmware_bridge.device import trial_messages as wire
from firmware_bridge.device.errors import DeviceLost, DeviceNotFound, DeviceRefused, NotHeld
from firmware_bridge.device.line import TRIAL, Line, LineDropped, Target, accepted, open_line
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.transfer import PATIENT, Forgotten, Job, Patience, Transfer
from firmware_bridge.device.trial_messages import Begins, Opened, Standing


class _Chunk(NamedTuple):
    begins: Begins
    content: bytes  # sealed


class TrialHost:
    """Runs one artifact. Whatever was not acknowledged when a link broke is sent again, and nothing else.

    All chunks since the last that did not carry on are kept, and run again where the device has restarted.
    """

    def __init__(
        self,
        target: Target,
        sha256: bytes,
        calls: Calls,
        *,
        patience: Patience = PATIENT,
        new_session: Callable[[], int] = lambda: 1 + secrets.randbelow(0xFFFF),
    ) -> None:
        self.reconnects = 0
        self.restarts = 0  # sessions that the device forgot
        self._target, self._sha256, self._calls, self._patience = target, sha256, calls, patience
        self._new_session = new_session
        self._connection = AsyncExitStack()
        self._line: Line | None = None
        self._info: wire.Info | None = None
        self._boot = self._session = 0
        self._log: list[_Chunk] = []
        self._first = 0  # the number in the session of the log's first chunk
        self._done = 0  # of the log
        self._standing: Standing | None = None  # as the device said, where that may differ from what we know

    async def run(self, begins: Begins, payload: bytes) -> bytes:
        """Run a call, given its state's and inputs' bytes: the bytes of its emissions.

        Raises DeviceLost where the device stays away, DeviceRefused where it cannot run this.
        """
        if begins is not Begins.CARRIED:
            self._first, self._log, self._done = self._first + len(self._log), [], 0
        self._log.append(_Chunk(begins, wire.sealed(payload)))
        return await self._insist()

    async def open(self) -> wire.Info:
        """What the device says of itself, once it has the artifact open. Raises as `run`."""
        await self._insist()
        if self._info is None:
            raise DeviceLost("the device is gone; try again")
        return self._info

    async def _insist(self) -> bytes:
        """Run what is not done yet; the last result."""
        try:
            result, furthest, failures = b"", self._done, 0
            while True:
                try:
                    line = await self._ready()
                    if self._done == len(self._log):
                        return result
                    result = await self._next(line)
                except (LineDropped, DeviceNotFound, Forgotten) as error:
                    failures += 1
                    await self._reconnect(failures, error)
                else:
                    self._done += 1
                    if self._done > furthest:  # what is run again after a restart is no progress
                        furthest, failures = self._done, 0
        except BaseException:
            self._session = 0  # how far the device has come is not known: the next call begins anew
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        self._line = None
        await self._connection.aclose()

    async def _reconnect(self, failures: int, error: Exception) -> None:
        await self.close()
        if failures > self._patience.tries:
            raise DeviceLost(
                f"the device was lost {failures} times in a row ({error}); bring it near, and run this again"
            ) from error
        if isinstance(error, Forgotten):
            self._session, self.restarts = 0, self.restarts + 1
        self.reconnects += 1
        await asyncio.sleep(self._patience.backoff_s * (1 << (failures - 1)))

    async def _ready(self) -> Line:
        """A connection with our session open."""
        if self._line is None:
            line = await self._connection.enter_async_context(open_line(self._target, TRIAL))
            self._info = _checked(wire.decode_info(await line.read(wire.INFO)), line)
            self._line = line
            self._standing = await self._where(line)
        line, standing = self._line, self._standing
        known = standing is None or (standing.boot, standing.session) == (self._boot, self._session)
        if not self._session or not known:
            await self._open_session(line)
        return line

    async def _open_session(self, line: Line) -> None:
        self.restarts += bool(self._session)
        session = self._new_session()
        answer = await self._ask(line, wire.Open(session, self._sha256))
        if not isinstance(answer, Opened):
            raise DeviceRefused(f"{line.name} does not answer OPEN; update its firmware")
        calls = self._calls
        expected = (calls.input_bytes, calls.state_bytes, calls.rows, calls.classes)
        if answer[1:] != expected:
            raise DeviceRefused(
                f"{line.name} says that a call of this artifact is {answer[1:]} (bytes in, bytes of state, "
                f"emissions, classes), model.json says {expected}; put the bundle on the device again"
            )
        longest = calls.input_bytes + calls.state_bytes + wire.CRC_BYTES
        if self._info is not None and longest > self._info.max_chunk_bytes:
            raise DeviceRefused(
                f"{line.name} has room for {self._info.max_chunk_bytes} bytes of a call, this artifact takes "
                f"{longest}; export a smaller chunk: --chunk-ms"
            )
        self._boot, self._session, self._standing = answer.boot, session, None
        self._first = self._done = 0

    async def _next(self, line: Line) -> bytes:
        """Run the first chunk that is not done."""
        standing, self._standing = self._standing, None
        number = self._first + self._done
        chunk = self._log[self._done]
        window_bytes = 0 if self._info is None else self._info.window_bytes
        job = Job(self._session, number, chunk.begins, chunk.content, self._calls.result_bytes)
        transfer = Transfer(line, job, window_bytes, partial(self._ask, line), self._patience)
        return await transfer.run(standing)

    async def _where(self, line: Line) -> Standing:
        answer = await self._ask(line, wire.Where())
        if not isinstance(answer, Standing):
            raise DeviceRefused(f"{line.name} does not answer WHERE; update its firmware")
        return answer

    async def _ask(self, line: Line, operation: wire.Operation) -> wire.Answer:
        request = wire.encode_request(wire.Request(line.next_number(), operation))
        name = wire.opcode_of(operation).name
        response = await line.ask(request, name)
        if isinstance(operation, wire.Open) and response.result is Result.UNSUPPORTED:
            raise NotHeld(
                f"{line.name} does not hold the artifact {self._sha256.hex()[:12]}; put the bundle on it"
            )
        if isinstance(operation, wire.Fetch) and response.result is Result.NOT_NOW:
            raise Forgotten
        return wire.decode_answer(operation, accepted(response, line, name))


def _checked(info: wire.Info, line: Line) -> wire.Info:
    if info.version != wire.VERSION:
        raise DeviceRefused(
            f"{line.name} speaks DEVICE-TEST {info.version}, this version of qwrist speaks {wire.VERSION}; "
            "update the older one"
        )
    if info.window_bytes < wire.LEAST_WINDOW_BYTES:
        raise DeviceRefused(
            f"{line.name} takes {info.window_bytes} bytes at once, {wire.LEAST_WINDOW_BYTES} are the least; "
            "update its firmware"
        )
    return info
