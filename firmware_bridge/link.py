"""One band's connection: from an advertisement to a queue of packets."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple, TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from edge.errors import SourceLost
from edge.samples import RATE_HZ
from firmware_bridge.backends import Backend
from firmware_bridge.control import (
    Answer,
    Config,
    Operation,
    Request,
    Response,
    Result,
    Start,
    Started,
    Stop,
    decode_answer,
    decode_response,
    encode_request,
    opcode_of,
)
from firmware_bridge.errors import BadPacket, BandRefused
from firmware_bridge.gatt import BATTERY_LEVEL, CONTROL, STATUS, STREAM, Status, decode_status
from firmware_bridge.packet import (
    NOTIFICATION_OVERHEAD_BYTES,
    PROTOCOL_VERSION,
    Codec,
    minimum_mtu,
    samples_per_packet,
)
from firmware_bridge.scan import FoundBand

Clock = Callable[[], float]

_CONNECT_TIMEOUT_S: Final = 20.0  # BlueZ takes up to 10 s where the air is busy
GATT_TIMEOUT_S: Final = 5.0  # ATT itself gives up after 30 s, and the link is dead then
_CLOSE_TIMEOUT_S: Final = 2.0
_MTU_POLLS: Final = 20  # every 0.1 s: Windows reports 23 for up to 2 s after connecting
QUEUE_PACKETS: Final = 1024  # 10 s at 517 bytes: longer than any pause that a live reader survives

_T = TypeVar("_T")


class LinkState(enum.Enum):
    """Where a link stands."""

    IDLE = enum.auto()
    CONNECTING = enum.auto()
    READY = enum.auto()
    STREAMING = enum.auto()
    LOST = enum.auto()
    CLOSED = enum.auto()


OURS: Final = frozenset({LinkState.IDLE, LinkState.CLOSED})  # a disconnection then is no loss


class Arrival(NamedTuple):
    """A notification as it came."""

    data: bytes
    at_s: float  # host seconds


class BandLink:
    """One connection to one band; a new connection is a new BandLink.

    The notification callback only stamps and queues. Whoever reads calls `take` when `wake` was called.
    """

    def __init__(
        self,
        band: FoundBand,
        *,
        clock: Clock,
        codec: Codec,
        wake: Callable[[], None],
        backend: Backend | None = None,
        gatt_timeout_s: float = GATT_TIMEOUT_S,
    ) -> None:
        self.band = band
        self.codec = codec
        self.state = LinkState.IDLE
        self.status: Status | None = None
        self.battery_percent: int | None = None
        self.queue_overflows = 0
        self.started: Started | None = None  # where the band's numbering stood at START
        self._responses: asyncio.Queue[Response] = asyncio.Queue()
        self._requests = 0
        self._clock = clock
        self._wake = wake
        self._gatt_timeout_s = gatt_timeout_s
        self._queue: deque[Arrival] = deque()
        self._client = BleakClient(
            band.device, disconnected_callback=self._on_disconnected, backend=backend and backend.client
        )

    @property
    def mtu(self) -> int:
        """The negotiated ATT MTU, 0 before it is known."""
        return 0 if self.status is None else self.status.mtu

    async def open(self) -> None:
        """Connect, read what the band is, subscribe, configure. Raises SourceLost, BandRefused."""
        self.state = LinkState.CONNECTING
        await self._do("connecting", self._client.connect(), _CONNECT_TIMEOUT_S)
        await self._settle_mtu()
        await self._refresh()
        self._check(self.status)
        # Before START, or the first packets find nobody listening.
        await self._do("subscribing", self._client.start_notify(STREAM, self._on_notification))
        await self._do("subscribing", self._client.start_notify(CONTROL, self._on_response))
        await self._operate(Config(self.codec, frozenset([self.codec]), RATE_HZ))
        self.state = LinkState.READY

    async def start(self) -> None:
        """Stream. Raises SourceLost."""
        self.state = LinkState.STREAMING
        answer = await self._operate(Start())
        self.started = answer if isinstance(answer, Started) else None

    async def stop(self) -> None:
        """Stop streaming, where it streams, and note what the band says of its stream."""
        if self.state is LinkState.STREAMING:
            await self._operate(Stop())
            self.state = LinkState.READY
            await self._refresh()

    async def close(self) -> None:
        """Disconnect; never raises, and leaves no connection behind."""
        self.state = LinkState.CLOSED
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._client.disconnect()
        except (BleakError, OSError, TimeoutError):
            pass  # it is gone already, which is what was wanted

    def take(self) -> list[Arrival]:
        """What has arrived since the last call."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def backlog(self) -> int:
        """How many notifications wait to be taken."""
        return len(self._queue)

    def _on_notification(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        if len(self._queue) >= QUEUE_PACKETS:
            self.queue_overflows += 1  # and a gap in the sequence: declared, not hidden
        else:
            self._queue.append(Arrival(bytes(data), self._clock()))
        self._wake()

    def _on_response(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        with suppress(BadPacket):  # whoever waits for an answer says that none came
            self._responses.put_nowait(decode_response(bytes(data)))

    def _on_disconnected(self, _: BleakClient) -> None:
        if self.state not in OURS:
            self.state = LinkState.LOST
            self._wake()

    async def _settle_mtu(self) -> None:
        stream = self._client.services.get_characteristic(STREAM)
        if stream is None:
            raise BandRefused(f"{self._name} has no sample stream; update the band's firmware")
        for _ in range(_MTU_POLLS):
            if stream.max_write_without_response_size + NOTIFICATION_OVERHEAD_BYTES >= minimum_mtu(
                self.codec
            ):
                return
            await asyncio.sleep(0.1)

    async def _refresh(self) -> None:
        self.status = decode_status(bytes(await self._do("reading", self._client.read_gatt_char(STATUS))))
        battery = await self._do("reading", self._client.read_gatt_char(BATTERY_LEVEL))
        self.battery_percent = battery[0] if battery else None

    def _check(self, status: Status | None) -> None:
        if status is None:
            return
        if status.version != PROTOCOL_VERSION:
            raise BandRefused(
                f"{self._name} speaks protocol {status.version}, this version of qwrist speaks "
                f"{PROTOCOL_VERSION}; update the older one"
            )
        if status.side != self.band.side:
            raise BandRefused(f"{self._name} says that it is a {status.side} band; set its side, or reset it")
        if status.rate_hz != RATE_HZ:
            raise BandRefused(f"{self._name} samples at {status.rate_hz} Hz; {RATE_HZ} is needed")
        if samples_per_packet(self.codec, status.mtu) == 0:
            raise BandRefused(
                f"{self._name} agreed to an MTU of {status.mtu} bytes; one sample needs "
                f"{minimum_mtu(self.codec)}; update the band's firmware or this machine's Bluetooth driver"
            )

    async def _operate(self, operation: Operation) -> Answer:
        """Ask, and give the answer. Raises SourceLost, BandRefused."""
        self._requests = (self._requests + 1) % 256
        request = Request(self._requests, operation)
        name = opcode_of(operation).name
        response = await self._do(name, self._answered(request))
        if response.result is Result.NOT_NOW:
            self.state = LinkState.LOST
            raise SourceLost(f"{self._name} refused {name} at this moment; connect to it again")
        if response.result is not Result.OK:
            raise BandRefused(f"{self._name} answers {name} with {response.result.name}; update its firmware")
        try:
            return decode_answer(operation, response.data)
        except BadPacket as error:
            raise BandRefused(f"{self._name}: {error}; update the band's firmware") from error

    async def _answered(self, request: Request) -> Response:
        await self._client.write_gatt_char(CONTROL, encode_request(request), response=True)
        while True:
            response = await self._responses.get()
            if response.number == request.number and response.opcode == opcode_of(request.operation):
                return response

    async def _do(self, what: str, action: Awaitable[_T], timeout_s: float | None = None) -> _T:
        timeout_s = self._gatt_timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await action
        except TimeoutError:
            self.state = LinkState.LOST
            raise SourceLost(
                f"{self._name} did not answer within {timeout_s:g} s ({what}); bring it near and try again"
            ) from None
        except (BleakError, OSError) as error:
            self.state = LinkState.LOST
            raise SourceLost(f"{self._name} failed at {what}: {error}; connect to it again") from error

    @property
    def _name(self) -> str:
        return f"the {self.band.side} band ({self.band.address})"


@asynccontextmanager
async def open_link(link: BandLink, backend: Backend | None) -> AsyncIterator[BandLink]:
    """The link, open within the context, its connection ended after it."""
    if backend is not None:
        backend.backlogs.append(link.backlog)
    try:
        await link.open()
        yield link
    finally:
        if backend is not None:
            backend.backlogs.remove(link.backlog)
        await link.close()
