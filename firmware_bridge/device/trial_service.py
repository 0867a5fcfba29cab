"""DEVICE-TEST as a bumble service: what firmware does with `trial.Trial`, and what can be planted in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from edge.errors import QwristError
from edge.runtimes import State
from edge.samples import Float32
from firmware_bridge.device import trial_messages as wire
from firmware_bridge.device.notifying import Asked, readable
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.trial import MAX_CHUNK_BYTES, WINDOW_BYTES, Job, Trial
from firmware_bridge.errors import BadPacket

Run = Callable[[Job], tuple[Float32, State]]
"""Runs one call; it may block. Raises QwristError."""


class Faults(NamedTuple):
    """What goes wrong, by how many pieces or notifications there were before, over all connections."""

    lose: frozenset[int] = frozenset()  # pieces that never arrive
    damage: frozenset[int] = frozenset()  # pieces in which a bit flips
    mute: frozenset[int] = frozenset()  # notifications that are never sent
    disconnect: frozenset[int] = frozenset()  # pieces after which the link is dropped
    restart: frozenset[int] = frozenset()  # pieces after which the device starts anew


NO_FAULTS: Final = Faults()


class TrialService:
    """Takes chunks, runs them one by one, tells what came of them."""

    def __init__(self, held: Mapping[bytes, Calls], name: str, run: Run, faults: Faults = NO_FAULTS) -> None:
        """`held`: what may be run, by SHA-256; `name`: of the runtime, for people."""
        self._held, self._name, self._run, self._faults = held, name, run, faults
        self._trial = Trial(held, boot=1)
        self._pieces = self._notified = 0
        self._asked = Asked(wire.CONTROL, wire.OUTPUT, self._operate)
        properties, permissions = Characteristic.Properties, Characteristic.Permissions
        pieces: Characteristic[bytes] = Characteristic(
            wire.INPUT,
            properties.WRITE_WITHOUT_RESPONSE,
            permissions.WRITEABLE,
            CharacteristicValue(write=self._on_piece),
        )
        self.service = Service(
            wire.SERVICE, [readable(wire.INFO, self._info), self._asked.control, pieces, self._asked.out]
        )

    async def close(self) -> None:
        """End what is under way."""
        await self._asked.close()

    def _info(self) -> bytes:
        info = wire.Info(wire.VERSION, self._trial.boot, WINDOW_BYTES, MAX_CHUNK_BYTES, self._name)
        return wire.encode_info(info)

    def _operate(self, value: bytes) -> bytes:
        operation = wire.decode_request(value).operation
        answer = self._trial.operate(operation)
        if isinstance(operation, wire.Fetch):
            self._asked.later(self._tell_result(operation.offset))
        return wire.encode_answer(answer)

    def _on_piece(self, connection: Connection, value: bytes) -> None:
        number, self._pieces = self._pieces, self._pieces + 1
        if number in self._faults.damage:
            value = value[:-1] + bytes([value[-1] ^ 1])
        if number not in self._faults.lose:
            self._take(value)
        if number in self._faults.restart:
            self._trial = Trial(self._held, (self._trial.boot + 1) % 256)
        if number in self._faults.disconnect | self._faults.restart:
            self._asked.later(connection.disconnect())

    def _take(self, value: bytes) -> None:
        try:
            said = self._trial.take(wire.decode_piece(value))
        except BadPacket:
            return  # it is no piece: the host finds out that it did not arrive
        if isinstance(said, Job):
            self._asked.later(self._work(said))
        elif said is not None:
            self._asked.later(self._tell(said))

    async def _work(self, job: Job) -> None:
        trial = self._trial
        try:
            log_probs, state = await asyncio.to_thread(self._run, job)
        except QwristError as error:
            await self._tell(trial.failed(str(error)))
            return
        if trial is not self._trial:
            return  # the device restarted meanwhile, and knows nothing of it
        refused = trial.finished(log_probs, state)
        if refused is not None:
            await self._tell(refused)
        else:
            await self._tell_result(0)

    async def _tell_result(self, offset: int) -> None:
        for part in self._trial.parts(self._asked.size - wire.RESULT_OVERHEAD_BYTES, offset):
            await self._tell(part)

    async def _tell(self, output: wire.Output) -> None:
        number, self._notified = self._notified, self._notified + 1
        if number not in self._faults.mute:
            await self._asked.notify(wire.encode_output(output))
