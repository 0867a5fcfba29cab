"""A band's Bluetooth side on a bumble device: what it advertises, its services, its one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from bumble import data_types
from bumble.core import UUID, AdvertisingData, BaseBumbleError, ConnectionPHY
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, HCI_Error, Phy
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig
from bumble.transport.common import TransportSink, TransportSource

from edge.samples import SIDES, Side
from firmware_bridge.gatt import (
    BAND_SERVICE,
    BATTERY_LEVEL,
    BATTERY_SERVICE,
    CONTROL,
    DEVICE_INFORMATION_SERVICE,
    FIRMWARE_REVISION,
    MANUFACTURER_NAME,
    MODEL_NUMBER,
    STATUS,
    STREAM,
)

_ADVERTISING_INTERVAL_MS: Final = 100.0
# What docs/guides/firmware.md has a band ask for.
_DATA_OCTETS: Final = 251
_DATA_US: Final = 2120  # of the air at 1M, the longest for so many
_INTERVAL_MS: Final = 15.0
_INTERVAL_AFTER_S: Final = 1.0  # a host is busy with discovery at first
_SUPERVISION_MS: Final = 6000.0
_Properties: Final = Characteristic.Properties
_Permissions: Final = Characteristic.Permissions


class Hci(NamedTuple):
    """Both ends of a controller: packets come out of the source and go into the sink."""

    source: TransportSource
    sink: TransportSink


class Profile(NamedTuple):
    """What a host sees of a band before it asks anything."""

    name: str
    address: Address
    mtu: int  # the largest ATT MTU that it agrees to
    encrypted: bool  # the status and the control point are for hosts that have paired
    radio: bool  # the controller is a real one: 2M, long packets and a short interval are asked for


class Answers(NamedTuple):
    """What a band answers, and what it wants to hear of."""

    control: Callable[[Connection, bytes], None]
    status: Callable[[Connection], bytes]
    battery: Callable[[Connection], bytes]
    disconnected: Callable[[], None]


class Peripheral:
    """A GATT server with one connection at most."""

    def __init__(
        self, profile: Profile, hci: Hci, answers: Answers, more_services: Sequence[Service] = ()
    ) -> None:
        self.connection: Connection | None = None
        self.in_reach = False
        self.phy = Phy.LE_1M  # of the connection
        self._radio = profile.radio
        self._advertising = asyncio.Lock()  # held while advertising is switched
        self._answers = answers
        self._working: set[asyncio.Task[None]] = set()
        read, write = _Permissions.READABLE, _Permissions.WRITEABLE
        if profile.encrypted:
            read |= _Permissions.READ_REQUIRES_ENCRYPTION
            write |= _Permissions.WRITE_REQUIRES_ENCRYPTION
        self._stream = Characteristic(STREAM, _Properties.NOTIFY, _Permissions(0), b"")
        self._control: Characteristic[bytes] = Characteristic(
            CONTROL,
            _Properties.WRITE | _Properties.INDICATE,
            write,
            CharacteristicValue(write=answers.control),
        )
        self._status = _readable(STATUS, answers.status, read)
        self._battery = _readable(BATTERY_LEVEL, answers.battery, _Permissions.READABLE)
        self._device = _device(profile, hci)
        self._device.add_services(
            [
                Service(BAND_SERVICE, [self._stream, self._control, self._status]),
                Service(BATTERY_SERVICE, [self._battery]),
                _device_information(),
                *more_services,
            ]
        )
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)

    async def power_on(self) -> None:
        """Reset the controller."""
        await self._device.power_on()
        self._device.keystore = MemoryKeyStore()  # pairing outlives a connection, not this process

    async def power_off(self) -> None:
        """Leave the controller reset."""
        await self._device.power_off()

    async def appear(self) -> None:
        """Be heard from now on while no host is connected."""
        self.in_reach = True
        await self._advertise()

    async def vanish(self) -> None:
        """Be heard no more, and drop the connection."""
        self.in_reach = False
        async with self._advertising:
            await self._device.stop_advertising()
        await self.disconnect()

    async def disconnect(self) -> None:
        """Drop the connection, if there is one."""
        if self.connection is not None:
            await self.connection.disconnect()

    async def send(self, packet: bytes) -> None:
        """Notify STREAM."""
        await self._notify(self._stream, packet)

    async def tell_status(self) -> None:
        """Notify STATUS."""
        if self.connection is not None:
            await self._notify(self._status, self._answers.status(self.connection))

    async def tell_battery(self) -> None:
        """Notify the battery's level."""
        if self.connection is not None:
            await self._notify(self._battery, self._answers.battery(self.connection))

    def answer(self, connection: Connection, response: bytes) -> None:
        """Indicate CONTROL, later: a confirmation comes after the answer to the write."""
        answering = self.soon(
            self._device.gatt_server.indicate_subscriber(connection, self._control, response)
        )
        connection.once(connection.EVENT_DISCONNECTION, lambda _: answering.cancel())

    def soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do `work` in a task of its own."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    @property
    def queued(self) -> int:
        """Packets that the controller has not sent yet."""
        queue = self._device.host.le_acl_packet_queue
        return 0 if queue is None else queue.pending

    async def _notify(self, characteristic: Characteristic[bytes], value: bytes) -> None:
        if self.connection is not None:
            await self._device.gatt_server.notify_subscriber(self.connection, characteristic, value)

    def _on_connection(self, connection: Connection) -> None:
        self.connection = connection
        connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        if self._radio:
            self.phy = Phy.LE_1M  # as each connection begins
            connection.on(connection.EVENT_CONNECTION_PHY_UPDATE, self._on_phy)
            asking = self.soon(_ask(connection))
            connection.once(connection.EVENT_DISCONNECTION, lambda _: asking.cancel())

    def _on_phy(self, phy: ConnectionPHY) -> None:
        self.phy = Phy(phy.tx_phy)
        self.soon(self.tell_status())

    def _on_disconnection(self, reason: int) -> None:
        self.connection = None
        self._answers.disconnected()
        self.soon(self._advertise())

    async def _advertise(self) -> None:
        async with self._advertising:
            if self.in_reach and self.connection is None:
                await self._device.start_advertising()


def address_of(side: Side) -> Address:
    """A static random address (top bits 11) for each side, on a virtual air of ours."""
    return Address(f"C0:51:57:00:00:0{SIDES.index(side) + 1}")


def any_address() -> Address:
    """One that no other band on the real air has."""
    return Address.generate_static_address()


async def _ask(connection: Connection) -> None:
    """Ask the host for what a stream needs; with one that refuses, STATUS says what it became."""
    refusal = HCI_Error, BaseBumbleError
    with contextlib.suppress(*refusal):
        await connection.set_phy([Phy.LE_2M], [Phy.LE_2M])
    with contextlib.suppress(*refusal):
        await connection.set_data_length(_DATA_OCTETS, _DATA_US)
    await asyncio.sleep(_INTERVAL_AFTER_S)
    with contextlib.suppress(*refusal):
        await connection.update_parameters(_INTERVAL_MS, _INTERVAL_MS, 0, _SUPERVISION_MS, use_l2cap=True)


def _readable(
    uuid: str, read: Callable[[Connection], bytes], permissions: Characteristic.Permissions
) -> Characteristic[bytes]:
    return Characteristic(
        uuid, _Properties.READ | _Properties.NOTIFY, permissions, CharacteristicValue(read=read)
    )


def _device_information() -> Service:
    texts = {MANUFACTURER_NAME: b"qwrist", MODEL_NUMBER: b"virtual band", FIRMWARE_REVISION: b"0.1.0"}
    return Service(
        DEVICE_INFORMATION_SERVICE,
        [Characteristic(uuid, _Properties.READ, _Permissions.READABLE, text) for uuid, text in texts.items()],
    )


def _device(profile: Profile, hci: Hci) -> Device:
    device = Device.from_config_with_hci(
        DeviceConfiguration(
            name=profile.name,
            address=profile.address,
            advertising_interval_min=_ADVERTISING_INTERVAL_MS,
            advertising_interval_max=_ADVERTISING_INTERVAL_MS,
            advertising_data=_advertising_data(profile.name),
        ),
        hci.source,
        hci.sink,
    )
    device.gatt_server.max_mtu = profile.mtu
    # A band has neither keys nor a screen: LE Secure Connections, just works.
    device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=False, bonding=True)
    return device


def _advertising_data(name: str) -> bytes:
    flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
    return bytes(
        AdvertisingData(
            [
                data_types.Flags(flags),
                data_types.CompleteListOf128BitServiceUUIDs([UUID(BAND_SERVICE)]),
                data_types.CompleteLocalName(name),
            ]
        )
    )
