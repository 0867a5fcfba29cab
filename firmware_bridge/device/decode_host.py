"""What a device decodes, as it says it: emissions or edits, with everything that was lost declared."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import NamedTuple

from edge.charset import CHARSET
from firmware_bridge.device import decode_messages as wire
from firmware_bridge.device import decoding
from firmware_bridge.device.decode_messages import Mode, Model, Precision, Started
from firmware_bridge.device.decoding import DecodingState, Lost, Missing, Said, Typed
from firmware_bridge.device.errors import DeviceRefused
from firmware_bridge.device.line import DECODE, Line, LineDropped, Target, accepted, open_line


class Restarted(NamedTuple):
    """The device began anew: its emissions count from 0, and what it made since the last one is not known."""

    boot: int


Event = Said | Typed | Lost | Missing | Restarted


class DecodeSource:
    """A device's decoder as a source; `events` once more after a lost link goes on where it was."""

    def __init__(
        self, target: Target, mode: Mode = Mode.TEXT, precision: Precision = Precision.FLOAT32
    ) -> None:
        self.model: Model | None = None  # from the first connection on
        self._target, self._asked = target, wire.Start(mode, precision)
        self._boot: int | None = None
        self._state = DecodingState(0, 0, 0)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Until the device's samples are over; close it (contextlib.aclosing) to leave early.

        Raises DeviceNotFound, DeviceRefused, DeviceLost, BadPacket.
        """
        async with open_line(self._target, DECODE) as line:
            self.model = _checked(wire.decode_model(await line.read(wire.MODEL)), line)
            for event in self._begin(await self._start(line)):
                yield event
            try:
                while not self._state.ended:
                    value = await line.told()
                    for event in [] if value is None else self._take(value):
                        yield event
            finally:
                with suppress(LineDropped):  # then it has stopped
                    await line.ask(wire.encode_request(line.next_number(), wire.Stop()), "STOP")

    async def _start(self, line: Line) -> Started:
        request = wire.encode_request(line.next_number(), self._asked)
        data = accepted(await line.ask(request, "START"), line, "START")
        answer = wire.decode_answer(self._asked, data)
        if not isinstance(answer, Started):
            raise DeviceRefused(f"{line.name} does not answer START; update its firmware")
        return answer

    def _begin(self, started: Started) -> list[Event]:
        before, self._boot = self._boot, started.boot
        if before == started.boot:
            self._state, events = decoding.resume(self._state, started, CHARSET.num_classes)
            return self._wanted(events)
        self._state = DecodingState.at(started, CHARSET.num_classes)
        return [] if before is None else [Restarted(started.boot)]

    def _take(self, value: bytes) -> list[Event]:
        self._state, events = decoding.step(self._state, wire.decode_told(value), CHARSET.num_classes)
        return self._wanted(events)

    def _wanted(self, events: list[decoding.Event]) -> list[Event]:
        """Who asked for text alone misses no emissions."""
        emissions = Mode.EMISSIONS in self._asked.mode
        return [event for event in events if emissions or not isinstance(event, Missing)]


def _checked(model: Model, line: Line) -> Model:
    if model.version != wire.VERSION:
        raise DeviceRefused(
            f"{line.name} speaks DECODE {model.version}, this version of qwrist speaks {wire.VERSION}; "
            "update the older one"
        )
    if (model.charset_sha256.hex(), model.classes) != (CHARSET.sha256, CHARSET.num_classes):
        raise DeviceRefused(
            f"{line.name} says keys of another charset ({model.charset_sha256.hex()[:12]}, here it is "
            f"{CHARSET.sha256[:12]}), so its classes are other keys; put a bundle of this qwrist on it"
        )
    return model
