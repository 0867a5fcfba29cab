"""bleak's API over a bumble host: a real GATT, ATT and L2CAP stack in this process, on any HCI transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal, TypeVar

from bleak import BleakScanner
from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import (
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)
from bleak.uuids import normalize_uuid_str
from bumble import att, core, gatt_client
from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement, Connection, ConnectionParametersPreferences, Device
from bumble.hci import HCI_LE_1M_PHY

from firmware_bridge.backends import Backend

_MTU: Final = 517  # what BlueZ asks for: a 512-byte value, its opcode, handle and a length
_INTERVAL_MS: Final = 15.0  # what bands ask for: docs/guides/firmware.md
_PREFERRED: Final = {
    HCI_LE_1M_PHY: ConnectionParametersPreferences(
        connection_interval_min=_INTERVAL_MS, connection_interval_max=_INTERVAL_MS
    )
}
_T = TypeVar("_T")
_UUID_BYTES: Final = {
    AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}


def bumble_backend(central: Device, gone: Callable[[], str | None] = lambda: None) -> Backend:
    """The scanner and client classes that act through `central`, a bumble device that is powered on.

    gone: as Backend's.
    """

    class BoundScanner(BumbleScanner):
        device = central
        scanning: ClassVar[set[BumbleScanner]] = set()
        switching = asyncio.Lock()

    class BoundClient(BumbleClient):
        device = central
        scanner = BoundScanner
        connecting = asyncio.Lock()

    return Backend(BoundScanner, BoundClient, [], gone)


class BumbleScanner(BaseBleakScanner):
    """Scans through `device`, which `bumble_backend` binds; several may scan at once."""

    device: ClassVar[Device]
    scanning: ClassVar[set[BumbleScanner]]  # the controller scans while there is one
    switching: ClassVar[asyncio.Lock]  # held while that changes

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        **kwargs: object,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Begin to scan."""
        self.seen_devices = {}
        self.device.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        async with self.switching:
            if not self.scanning:
                await self.device.start_scanning(active=self._active, filter_duplicates=False)
            self.scanning.add(self)

    async def stop(self) -> None:
        """Stop scanning."""
        self.device.remove_listener(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        async with self.switching:
            self.scanning.discard(self)
            if not self.scanning:
                await self.device.stop_scanning()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        data = _advertisement_data(advertisement)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        address = _address(advertisement)
        device = self.create_or_update_device(address, address, data.local_name, advertisement.address, data)
        self.call_detection_callbacks(device, data)


class BumbleClient(BaseBleakClient):
    """A GATT client through `device`, which `bumble_backend` binds."""

    device: ClassVar[Device]
    scanner: ClassVar[type[BumbleScanner]]
    connecting: ClassVar[asyncio.Lock]  # a controller initiates one connection at a time

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        services: set[str] | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._peer = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._wanted_services = services
        self._connection: Connection | None = None
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The advertised name, else the address with dashes."""
        return (self._peer and self._peer.name) or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The negotiated ATT MTU."""
        return self._connection.att_mtu if self._connection else att.ATT_DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        """Whether the link stands."""
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: object) -> None:  # noqa: FBT001 - bleak's signature
        """Connect, exchange the MTU, discover. Raises BleakError."""
        if self._connection is not None:
            raise BleakError("already connected")
        if self._peer is None:
            self._peer = await BleakScanner.find_device_by_address(
                self.address, timeout=self._timeout, backend=self.scanner
            )
        if self._peer is None:
            raise BleakDeviceNotFoundError(self.address)
        with _as_bleak_errors("connecting"):
            async with self.connecting:
                connection = await self.device.connect(
                    self._peer.details, timeout=self._timeout, connection_parameters_preferences=_PREFERRED
                )
        self._connection = connection
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            with _as_bleak_errors("discovering"):
                if pair:
                    await self._encrypt(connection)
                await connection.gatt_client.request_mtu(_MTU)
                self.services = await self._discover(connection)
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Disconnect, if connected. Raises BleakError."""
        if self._connection:
            with _as_bleak_errors("disconnecting"):
                await self._connection.disconnect()

    async def pair(self, *args: object, **kwargs: object) -> None:
        """Encrypt: by the keys of an earlier pairing, else pair with what the peripheral offers."""
        with _as_bleak_errors("pairing"):
            await self._encrypt(self._connected())

    async def unpair(self) -> None:
        """Forget the peripheral's keys."""
        if self.device.keystore is not None:
            await self.device.keystore.delete(self.address)

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: object
    ) -> bytearray:
        """Read a value. Raises BleakGATTProtocolError."""
        return await self._read(characteristic.obj)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: object
    ) -> bytearray:
        """Read a descriptor. Raises BleakGATTProtocolError."""
        return await self._read(descriptor.obj)

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001
    ) -> None:
        """Write a value. Raises BleakGATTProtocolError."""
        await self._write(characteristic.obj, data, with_response=response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor. Raises BleakGATTProtocolError."""
        await self._write(descriptor.obj, data, with_response=True)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: object
    ) -> None:
        """Subscribe; `callback` runs on the event loop, in the order of arrival."""

        def on_value(value: bytes) -> None:
            callback(bytearray(value))

        self._subscribers[characteristic.handle] = on_value
        await self._request(characteristic.obj.subscribe(on_value))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe."""
        await self._request(
            characteristic.obj.unsubscribe(self._subscribers.pop(characteristic.handle, None))
        )

    async def _encrypt(self, connection: Connection) -> None:
        keys = self.device.keystore
        if keys is not None and await keys.get(str(connection.peer_address)):
            await connection.encrypt()
        else:
            await connection.pair()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    async def _read(self, proxy: gatt_client.AttributeProxy[bytes]) -> bytearray:
        return bytearray(await self._request(proxy.read_value()))

    async def _write(
        self, proxy: gatt_client.AttributeProxy[bytes], data: SizedBuffer, *, with_response: bool
    ) -> None:
        await self._request(proxy.write_value(bytes(data), with_response=with_response))

    async def _request(self, action: Coroutine[Any, Any, _T]) -> _T:
        """The answer to an ATT request, or the error that bleak has for its absence."""
        if self._connection is None:
            action.close()
        self._connected()
        try:
            with _as_bleak_errors("a request"):
                return await action
        except asyncio.CancelledError:
            # bumble cancels the requests of a link that is gone; a cancellation of ours goes through
            task = asyncio.current_task()
            if self._connection is not None or (task is not None and task.cancelling()):
                raise
            raise BleakError("disconnected") from None

    def _on_disconnection(self, reason: int) -> None:
        self._connection = None
        self.services = None
        self._subscribers.clear()
        if self._disconnected_callback:
            self._disconnected_callback()

    async def _discover(self, connection: Connection) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for proxy in await connection.gatt_client.discover_services():
            uuid = _uuid(proxy.uuid)
            if self._wanted_services is None or uuid in self._wanted_services:
                service = BleakGATTService(proxy, proxy.handle, uuid)
                found.add_service(service)
                await self._discover_characteristics(found, service)
        return found

    async def _discover_characteristics(
        self, found: BleakGATTServiceCollection, service: BleakGATTService
    ) -> None:
        for proxy in await service.obj.discover_characteristics():
            properties = list(gatt_char_props_to_strs(proxy.properties))
            characteristic = BleakGATTCharacteristic(
                proxy, proxy.handle, _uuid(proxy.uuid), properties, lambda: self.mtu_size - 3, service
            )
            found.add_characteristic(characteristic)
            for descriptor in await proxy.discover_descriptors():
                found.add_descriptor(
                    BleakGATTDescriptor(descriptor, descriptor.handle, _uuid(descriptor.type), characteristic)
                )


@contextmanager
def _as_bleak_errors(what: str) -> Iterator[None]:
    """Raise BleakError where bumble raises an error of its own."""
    try:
        yield
    except att.ATT_Error as error:
        raise BleakGATTProtocolError(BleakGATTProtocolErrorCode(error.error_code)) from error
    except core.BaseBumbleError as error:
        raise BleakError(f"{what} failed: {error}") from error


def _uuid(uuid: UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))


def _address(advertisement: Advertisement) -> str:
    return advertisement.address.to_string(with_type_qualifier=False)


def _advertisement_data(advertisement: Advertisement) -> AdvertisementData:
    name: str | None = None
    uuids: list[str] = []
    manufacturer: dict[int, bytes] = {}
    tx_power: int | None = None
    kind = AdvertisingData.Type
    for type_id, value in advertisement.data.ad_structures:
        if type_id in (kind.COMPLETE_LOCAL_NAME, kind.SHORTENED_LOCAL_NAME):
            name = value.decode("utf-8", "replace")
        elif type_id in _UUID_BYTES:
            size = _UUID_BYTES[type_id]
            uuids += [_uuid(UUID.from_bytes(value[i : i + size])) for i in range(0, len(value), size)]
        elif type_id == kind.MANUFACTURER_SPECIFIC_DATA:
            manufacturer[int.from_bytes(value[:2], "little")] = bytes(value[2:])
        elif type_id == kind.TX_POWER_LEVEL:
            tx_power = int.from_bytes(value[:1], "little", signed=True)
    # bumble's virtual air repeats the advertisement where the scan response belongs
    uuids = list(dict.fromkeys(uuids))
    return AdvertisementData(name, manufacturer, {}, uuids, tx_power, advertisement.rssi, (advertisement,))
