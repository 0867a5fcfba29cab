"""One connection to one service of a device: requests that are answered, notifications that queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple, TypeVar

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from firmware_bridge.advice import advise
from firmware_bridge.backends import Backend
from firmware_bridge.control import Response, Result, decode_response
from firmware_bridge.device import decode_messages, trial_messages
from firmware_bridge.device.errors import DeviceLost, DeviceNotFound, DeviceRefused
from firmware_bridge.errors import BadPacket, BluetoothUnavailable

CONNECT_TIMEOUT_S: Final = 20.0  # BlueZ takes up to 10 s where the air is busy
GATT_TIMEOUT_S: Final = 5.0  # ATT itself gives up after 30 s, and the link is dead then
SCAN_S: Final = 5.0  # many advertisements, also of a device that saves its battery
MAX_VALUE_BYTES: Final = 512  # of any attribute: Bluetooth Core, Vol 3, Part F, 3.2.9

_T = TypeVar("_T")


class LineDropped(DeviceLost):
    """This connection is gone; another may be had."""


class Target(NamedTuple):
    """Which device, and through which stack: the operating system's unless given."""

    address: str | None  # None: the one that is heard
    backend: Backend | None = None
    gatt_timeout_s: float = GATT_TIMEOUT_S
    pair: bool = False  # before anything protected is touched


class Service(NamedTuple):
    """The characteristics of a service that is asked, and tells."""

    control: str
    out: str


TRIAL: Final = Service(trial_messages.CONTROL, trial_messages.OUTPUT)
DECODE: Final = Service(decode_messages.CONTROL, decode_messages.OUT)


class Line:
    """Open within `open_line`."""

    def __init__(self, target: Target, device: BLEDevice, service: Service) -> None:
        self._target, self._service = target, service
        self._client = BleakClient(
            device,
            disconnected_callback=self._on_disconnected,
            backend=target.backend and target.backend.client,
        )
        self._responses: asyncio.Queue[Response | None] = asyncio.Queue()
        self._told: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: the link is gone
        self._requests = 0
        self.address = device.address
        self.name = device.name or device.address

    async def open(self) -> None:
        """Connect and subscribe. Raises LineDropped, DeviceRefused."""
        await self._do("connecting", self._client.connect(), CONNECT_TIMEOUT_S)
        if self._target.pair:
            await self._do("pairing", self._pair(), CONNECT_TIMEOUT_S)
        if self._client.services.get_characteristic(self._service.control) is None:
            raise DeviceRefused(
                f"{self.name} has no such service; update its firmware, or name another device"
            )
        await self._do("subscribing", self._client.start_notify(self._service.out, self._on_told))
        await self._do("subscribing", self._client.start_notify(self._service.control, self._on_response))

    async def close(self) -> None:
        """Disconnect; never raises."""
        try:
            async with asyncio.timeout(self._target.gatt_timeout_s):
                await self._client.disconnect()
        except (BleakError, OSError, TimeoutError):
            pass  # it is gone already, which is what was wanted

    async def read(self, characteristic: str) -> bytes:
        """A value. Raises LineDropped."""
        return bytes(await self._do("reading", self._client.read_gatt_char(characteristic)))

    async def write(self, characteristic: str, value: bytes) -> None:
        """Write without response. Raises LineDropped."""
        await self._do("writing", self._client.write_gatt_char(characteristic, value, response=False))

    def room(self, characteristic: str) -> int:
        """The longest such write. Raises LineDropped."""
        try:
            found = self._client.services.get_characteristic(characteristic)
        except BleakError as error:  # the services are gone with the link
            raise self._dropped("the link broke") from error
        return 0 if found is None else min(MAX_VALUE_BYTES, found.max_write_without_response_size)

    def next_number(self) -> int:
        """Of a request."""
        self._requests = (self._requests + 1) % 256
        return self._requests

    async def ask(self, request: bytes, what: str) -> Response:
        """The response to a request, whatever its result. Raises LineDropped."""
        return await self._do(what, self._answered(request))

    @property
    def waiting(self) -> bool:
        """Whether a notification is there to be taken."""
        return not self._told.empty()

    async def told(self, timeout_s: float | None = None) -> bytes | None:
        """The next notification; None where none comes within `timeout_s`. Raises LineDropped."""
        try:
            async with asyncio.timeout(timeout_s):
                value = await self._told.get()
        except TimeoutError:
            return None
        if value is None:
            raise self._dropped("the link broke")
        return value

    async def _pair(self) -> None:
        with suppress(NotImplementedError):  # macOS pairs by itself, on the first protected access
            await self._client.pair()

    async def _answered(self, request: bytes) -> Response:
        await self._client.write_gatt_char(self._service.control, request, response=True)
        while True:
            response = await self._responses.get()
            if response is None:
                raise self._dropped("the link broke")
            if (response.opcode, response.number) == (request[0], request[1]):
                return response

    async def _do(self, what: str, action: Awaitable[_T], timeout_s: float | None = None) -> _T:
        try:
            async with asyncio.timeout(timeout_s or self._target.gatt_timeout_s):
                return await action
        except TimeoutError:
            raise self._dropped(f"no answer to {what}") from None
        except (BleakError, OSError) as error:
            raise self._dropped(f"{what} failed: {error}") from error

    def _dropped(self, why: str) -> LineDropped:
        return LineDropped(f"{self.name} does not answer ({why}); bring it near and try again")

    def _on_told(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        self._told.put_nowait(bytes(value))

    def _on_response(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        try:
            self._responses.put_nowait(decode_response(bytes(value)))
        except BadPacket:
            return  # whoever waits for an answer says that none came

    def _on_disconnected(self, _: BleakClient) -> None:
        self._told.put_nowait(None)
        self._responses.put_nowait(None)


@asynccontextmanager
async def open_line(target: Target, service: Service) -> AsyncIterator[Line]:
    """A connection of its own, ended with the context.

    Raises DeviceNotFound, BluetoothUnavailable, LineDropped, DeviceRefused.
    """
    line = Line(target, await find(target), service)
    try:
        await line.open()
        yield line
    finally:
        await line.close()


async def find(target: Target) -> BLEDevice:
    """The device of an address, else the only one heard. Raises DeviceNotFound, BluetoothUnavailable."""
    try:
        heard = await _hear(target)
    except (BleakError, OSError) as error:
        raise BluetoothUnavailable(f"Bluetooth cannot scan ({error}); {advise(error)}") from error
    if len(heard) > 1:
        addresses = " and ".join(device.address for device in heard)
        raise DeviceNotFound(f"{len(heard)} devices are on the air; name one of them: {addresses}")
    if not heard:
        who = "no device that decodes" if target.address is None else f"no device {target.address}"
        raise DeviceNotFound(
            f"{who} was heard in {SCAN_S:g} s; switch it on, bring it near, disconnect others"
        )
    return heard[0]


async def _hear(target: Target) -> list[BLEDevice]:
    """Those that advertise one of our services; or the one of an address, whatever it advertises."""
    wanted = None if target.address is None else target.address.lower()
    services = [decode_messages.SERVICE, trial_messages.SERVICE] if wanted is None else None
    scanner = BleakScanner(service_uuids=services, backend=target.backend and target.backend.scanner)
    heard: dict[str, BLEDevice] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(SCAN_S), scanner:
            async for device, _ in scanner.advertisement_data():
                if wanted is None:
                    heard[device.address] = device
                elif device.address.lower() == wanted:
                    return [device]
    return list(heard.values())


def accepted(response: Response, line: Line, what: str) -> bytes:
    """The data of a response that is OK. Raises DeviceRefused."""
    if response.result is not Result.OK:
        raise DeviceRefused(f"{line.name} answers {what} with {response.result.name}")
    return response.data
