"""One connection to one band: from an advertisement to a queue of what arrives."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError
from bleak_retry_connector import establish_connection

from edge.errors import QwristError, SourceLost
from edge.samples import RATE_HZ
from firmware_bridge.advice import advise_linked
from firmware_bridge.backends import Backend
from firmware_bridge.control import (
    Answer,
    Config,
    Operation,
    Ping,
    Pinged,
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
from firmware_bridge.pings import next_ping_s
from firmware_bridge.scan import FoundBand

Clock = Callable[[], float]

_CONNECT_TIMEOUT_S: Final = 20.0  # BlueZ takes up to 10 s where the air is busy
_CONNECT_ATTEMPTS: Final = 2  # within one timeout; whoever supervises the link tries again later
GATT_TIMEOUT_S: Final = 5.0  # ATT itself gives up after 30 s, and the link is dead then
_CLOSE_TIMEOUT_S: Final = 2.0
_MTU_POLLS: Final = 20  # every 0.1 s: Windows reports 23 for up to 2 s after connecting
# Before START, so that the first samples have a clock. Each at another moment between connection events: an
# answer comes with one, and a ping sent at once would wait for the whole of the next interval.
_FIRST_PINGS_S: Final = (0.0, 0.011, 0.005, 0.023)
QUEUE_PACKETS: Final = 1024  # 10 s at 517 bytes: longer than any pause that a live reader survives

_T = TypeVar("_T")


class LinkState(enum.Enum):
    """Where a link stands."""

    IDLE = enum.auto()
    CONNECTING = enum.auto()
    PAIRING = enum.auto()
    SUBSCRIBING = enum.auto()
    CONFIGURING = enum.auto()
    READY = enum.auto()
    STREAMING = enum.auto()
    LOST = enum.auto()
    CLOSED = enum.auto()


OURS: Final = frozenset({LinkState.IDLE, LinkState.CLOSED})  # a disconnection then is no loss


class Arrival(NamedTuple):
    """A notification as it came."""

    data: bytes
    at_s: float  # host seconds


class Pong(NamedTuple):
    """A PING and its answer: the band was at `sample_index` between these moments, in host seconds."""

    sample_index: int
    sent_s: float
    received_s: float


class StartedAt(NamedTuple):
    """START's answer, given between these moments, in host seconds."""

    started: Started
    sent_s: float
    received_s: float


@dataclass(frozen=True)
class LinkOptions:
    """How to connect."""

    codec: Codec = Codec.RICE12
    accepted: frozenset[Codec] = frozenset(Codec)  # to which the band may step where the radio is behind
    pair: bool = False  # before anything protected is touched
    gatt_timeout_s: float = GATT_TIMEOUT_S


class BandLink:
    """One connection to one band; a new connection is a new BandLink with a client of its own.

    The callbacks only stamp and queue. Whoever reads calls `take` when `wake` was called.
    """

    def __init__(
        self,
        band: FoundBand,
        options: LinkOptions,
        *,
        clock: Clock,
        wake: Callable[[], None],
        backend: Backend | None = None,
    ) -> None:
        self.band = band
        self.state = LinkState.IDLE
        self.status: Status | None = None
        self.battery_percent: int | None = None
        self.queue_overflows = 0
        self.start_answer: StartedAt | None = None
        self._options = options
        self._clock = clock
        self._wake = wake
        self._backend = backend
        self._client: BleakClient | None = None
        self._queue: deque[Arrival] = deque()
        self._pongs: deque[Pong] = deque(maxlen=QUEUE_PACKETS)
        self._number = 0  # of the last request
        self._asked: dict[tuple[int, int], asyncio.Future[tuple[Response, float]]] = {}  # by opcode, number
        self.ping_due_s = math.inf  # when to call `ping_soon`, by the clock
        self._pings = 0  # answered since START
        self._pinging: asyncio.Task[None] | None = None

    @property
    def mtu(self) -> int:
        """The negotiated ATT MTU, 0 before it is known."""
        return 0 if self.status is None else self.status.mtu

    async def open(self) -> None:
        """Connect, read what the band is, subscribe, configure. Raises SourceLost, BandRefused."""
        self.state = LinkState.CONNECTING
        self._client = await self._do("connecting", self._connect(), _CONNECT_TIMEOUT_S)
        if self._options.pair:
            self.state = LinkState.PAIRING
            await self._do("pairing", self._pair(self._client), _CONNECT_TIMEOUT_S)
        self.state = LinkState.SUBSCRIBING
        await self._settle_mtu(self._client)
        await self._refresh()
        self._check(self.status)
        # Before START, or the first packets find nobody listening.
        for characteristic, callback in (
            (STREAM, self._on_packet),
            (CONTROL, self._on_response),
            (STATUS, self._on_status),
        ):
            await self._do("subscribing", self._client.start_notify(characteristic, callback))
        self.state = LinkState.CONFIGURING
        await self._ask(Config(self._options.codec, self._options.accepted, RATE_HZ))
        for pause_s in _FIRST_PINGS_S:
            await asyncio.sleep(pause_s)
            await self.ping()
        self.state = LinkState.READY

    async def start(self) -> None:
        """Stream. Raises SourceLost, BandRefused."""
        self.state = LinkState.STREAMING
        sent_s = self._clock()
        answer, received_s = await self._ask(Start())
        if isinstance(answer, Started):
            self.start_answer = StartedAt(answer, sent_s, received_s)
        self._pings = 0
        self._plan_ping(received_s)

    async def stop(self) -> None:
        """Stop streaming, where it streams, and note what the band says of its stream."""
        if self.state is LinkState.STREAMING:
            await self._ask(Stop())
            self.state = LinkState.READY
            await self._refresh()

    async def ping(self) -> None:
        """Ask which sample it is; the answer is taken with `take_pongs`. Raises SourceLost, BandRefused."""
        sent_s = self._clock()
        answer, received_s = await self._ask(Ping())
        if isinstance(answer, Pinged):
            self._pongs.append(Pong(answer.sample_index, sent_s, received_s))
        self._pings += 1
        self._plan_ping(received_s)
        self._wake()

    def ping_soon(self) -> None:
        """Ping beside whatever else happens."""
        self.ping_due_s = math.inf
        self._pinging = asyncio.create_task(self._ping_quietly())

    async def close(self) -> None:
        """Disconnect; never raises, and leaves no connection and no task behind."""
        self.state = LinkState.CLOSED
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        if self._client is None:
            return
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

    def take_pongs(self) -> list[Pong]:
        """The answers to pings since the last call."""
        taken = list(self._pongs)
        self._pongs.clear()
        return taken

    def backlog(self) -> int:
        """How many notifications wait to be taken."""
        return len(self._queue)

    def _on_packet(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        if len(self._queue) >= QUEUE_PACKETS:
            self.queue_overflows += 1  # and a gap in the sequence: declared, not hidden
        else:
            self._queue.append(Arrival(bytes(data), self._clock()))
        self._wake()

    def _on_response(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        with suppress(BadPacket):  # whoever waits for an answer says that none came
            response = decode_response(bytes(data))
            asked = self._asked.get((response.opcode, response.number))
            if asked is not None and not asked.done():
                asked.set_result((response, self._clock()))

    def _on_status(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        with suppress(BandRefused):  # it was read once and understood; a damaged one changes nothing
            self.status = decode_status(bytes(data))

    def _on_disconnected(self, _: BleakClient) -> None:
        if self.state not in OURS:
            self.state = LinkState.LOST
            self._wake()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(BleakError("disconnected"))

    async def _connect(self) -> BleakClient:
        return await establish_connection(
            BleakClient,
            self.band.device,
            self.band.name,
            disconnected_callback=self._on_disconnected,
            max_attempts=_CONNECT_ATTEMPTS,
            backend=self._backend and self._backend.client,
        )

    async def _pair(self, client: BleakClient) -> None:
        with suppress(NotImplementedError):  # macOS pairs by itself, on the first protected access
            await client.pair()

    async def _settle_mtu(self, client: BleakClient) -> None:
        stream = client.services.get_characteristic(STREAM)
        if stream is None:
            raise BandRefused(f"{self._name} has no sample stream; update the band's firmware")
        least = minimum_mtu(self._options.codec)
        for _ in range(_MTU_POLLS):
            if stream.max_write_without_response_size + NOTIFICATION_OVERHEAD_BYTES >= least:
                return
            await asyncio.sleep(0.1)

    async def _refresh(self) -> None:
        client = self._connected()
        self.status = decode_status(bytes(await self._do("reading", client.read_gatt_char(STATUS))))
        battery = await self._do("reading", client.read_gatt_char(BATTERY_LEVEL))
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
        if samples_per_packet(self._options.codec, status.mtu) == 0:
            raise BandRefused(
                f"{self._name} agreed to an MTU of {status.mtu} bytes; one sample needs "
                f"{minimum_mtu(self._options.codec)}; update the band's firmware or this machine's "
                "Bluetooth driver"
            )

    def _plan_ping(self, answered_s: float) -> None:
        interval_ms = 0.0 if self.status is None else self.status.interval_ms
        self.ping_due_s = next_ping_s(answered_s, self._pings, interval_ms / 1000)

    async def _ping_quietly(self) -> None:
        with suppress(QwristError):  # a link that is lost says so by its state
            await self.ping()

    async def _ask(self, operation: Operation) -> tuple[Answer, float]:
        """The answer, and when it came, in host seconds. Raises SourceLost, BandRefused."""
        self._number = (self._number + 1) % 256
        name = opcode_of(operation).name
        response, at_s = await self._do(name, self._response(Request(self._number, operation)))
        if response.result is Result.NOT_NOW:
            self.state = LinkState.LOST
            raise SourceLost(f"{self._name} refused {name} at this moment; connect to it again")
        if response.result is not Result.OK:
            raise BandRefused(f"{self._name} answers {name} with {response.result.name}; update its firmware")
        try:
            return decode_answer(operation, response.data), at_s
        except BadPacket as error:
            raise BandRefused(f"{self._name}: {error}; update the band's firmware") from error

    async def _response(self, request: Request) -> tuple[Response, float]:
        asked: asyncio.Future[tuple[Response, float]] = asyncio.get_running_loop().create_future()
        key = opcode_of(request.operation), request.number
        self._asked[key] = asked
        try:
            await self._connected().write_gatt_char(CONTROL, encode_request(request), response=True)
            return await asked
        finally:
            del self._asked[key]
            if not asked.cancel() and not asked.cancelled():
                asked.exception()  # asked for: a write that failed had its own reason

    async def _do(self, what: str, action: Awaitable[_T], timeout_s: float | None = None) -> _T:
        timeout_s = self._options.gatt_timeout_s if timeout_s is None else timeout_s
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
            said = error.args[-1] if error.args else error  # some of bleak's begin with a number
            raise SourceLost(f"{self._name} failed at {what}: {said}; {advise_linked(error)}") from error

    def _connected(self) -> BleakClient:
        if self._client is None:
            raise RuntimeError("the link is not open")
        return self._client

    @property
    def _name(self) -> str:
        return f"the {self.band.side} band ({self.band.address})"
