"""The GATT side of the service: characteristics as objects, values by signal or by socket."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Final

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.uuids import normalize_uuid_str
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt_client import AttributeProxy, CharacteristicProxy, ServiceProxy
from dbus_fast import Message, Variant

from tests.firmware_bridge.bluez.objects import Objects

SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"

_MTU: Final = 517  # what bluetoothd asks for
_HIDDEN: Final = UUID.from_16_bits(0x1800)  # generic access, which bluetoothd keeps to itself


class Attributes:
    """All that was discovered, by object path."""

    def __init__(self, objects: Objects) -> None:
        self.read_by: Callable[[], None] = lambda: None  # called after each value that was signalled
        self._objects = objects
        self._proxies: dict[str, AttributeProxy[bytes]] = {}
        self._subscribers: dict[str, Callable[[bytes], None]] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._signalled = 0
        self._sending: set[asyncio.Task[None]] = set()

    def in_flight(self) -> int:
        """Values that were sent and that the client has not read yet."""
        unread = sum(_unread_bytes(sender) > 0 for sender in self._sockets.values())
        return self._signalled + len(self._sending) + unread

    async def counted(self, reading: Awaitable[None]) -> None:
        """A value is in flight until `reading` is over."""
        self._signalled += 1
        try:
            await reading
        finally:
            self._signalled -= 1

    async def resolve(self, device: str, connection: Connection) -> None:
        """Discover `connection`'s services and show them below `device`."""
        mtu = await connection.gatt_client.request_mtu(_MTU)
        for service in await connection.gatt_client.discover_services():
            if service.uuid != _HIDDEN:
                await self._show_service(device, service, mtu)

    def forget_below(self, path: str) -> None:
        """The link below `path` is gone."""
        for below in [p for p in self._sockets if p.startswith(path + "/")]:
            self._sockets.pop(below).close()
        for below in [p for p in self._proxies if p.startswith(path + "/")]:
            del self._proxies[below]
            self._subscribers.pop(below, None)

    async def do(self, message: Message) -> tuple[str, tuple[object, ...], tuple[int, ...]]:
        """Call a method of a characteristic or descriptor: signature, body and files of the reply."""
        path, proxy = message.path, self._proxies[message.path]
        match message.member:
            case "ReadValue":
                return "ay", (bytes(await proxy.read_value()),), ()
            case "WriteValue":
                kind = message.body[1].get("type", Variant("s", "request")).value
                await proxy.write_value(bytes(message.body[0]), with_response=kind != "command")
            case "StartNotify":
                await self._subscribe(path, self._by_signal(path))
                self._objects.change(path, CHARACTERISTIC, {"Notifying": Variant("b", True)})
            case "StopNotify":
                assert isinstance(proxy, CharacteristicProxy)
                await proxy.unsubscribe(self._subscribers.pop(path))
                self._objects.change(path, CHARACTERISTIC, {"Notifying": Variant("b", False)})
            case "AcquireNotify":
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.setblocking(False)
                self._sockets[path] = ours
                await self._subscribe(path, self._by_socket(ours))
                file = os.dup(theirs.fileno())
                theirs.close()
                return "hq", (0, _MTU), (file,)
            case _:
                raise NotImplementedError(message.member)
        return "", (), ()

    async def _subscribe(self, path: str, on_value: Callable[[bytes], None]) -> None:
        proxy = self._proxies[path]
        assert isinstance(proxy, CharacteristicProxy)
        self._subscribers[path] = on_value
        await proxy.subscribe(on_value)

    def _by_signal(self, path: str) -> Callable[[bytes], None]:
        def on_value(value: bytes) -> None:
            self._objects.tell(path, CHARACTERISTIC, {"Value": Variant("ay", value)})
            self.read_by()

        return on_value

    def _by_socket(self, ours: socket.socket) -> Callable[[bytes], None]:
        lock = asyncio.Lock()

        async def send(value: bytes) -> None:
            async with lock:  # in order, and with room for each
                await asyncio.get_running_loop().sock_sendall(ours, value)

        def on_value(value: bytes) -> None:
            task = asyncio.create_task(send(value))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

        return on_value

    async def _show_service(self, device: str, service: ServiceProxy, mtu: int) -> None:
        path = f"{device}/service{service.handle:04x}"
        described = {
            "UUID": _uuid(service.uuid),
            "Device": Variant("o", device),
            "Primary": Variant("b", True),
            "Includes": Variant("ao", []),
        }
        self._objects.add(path, {SERVICE: described})
        for characteristic in await service.discover_characteristics():
            await self._show_characteristic(path, characteristic, mtu)

    async def _show_characteristic(self, service: str, proxy: CharacteristicProxy[bytes], mtu: int) -> None:
        path = f"{service}/char{proxy.handle - 1:04x}"  # named by its declaration, which is just before it
        self._proxies[path] = proxy
        flags = list(gatt_char_props_to_strs(proxy.properties))
        described = {
            "UUID": _uuid(proxy.uuid),
            "Service": Variant("o", service),
            "Value": Variant("ay", b""),
            "Flags": Variant("as", flags),
            "MTU": Variant("q", mtu),
            "Notifying": Variant("b", False),
        }
        if {"notify", "indicate"} & set(flags):
            described["NotifyAcquired"] = Variant("b", False)
        self._objects.add(path, {CHARACTERISTIC: described})
        for descriptor in await proxy.discover_descriptors():
            below = f"{path}/desc{descriptor.handle:04x}"
            self._proxies[below] = descriptor
            words = {
                "UUID": _uuid(descriptor.type),
                "Characteristic": Variant("o", path),
                "Value": Variant("ay", b""),
            }
            self._objects.add(below, {DESCRIPTOR: words})


def _uuid(uuid: UUID) -> Variant:
    return Variant("s", normalize_uuid_str(uuid.to_hex_str("-")))


def _unread_bytes(sender: socket.socket) -> int:
    """What the peer has not taken yet (Linux: TIOCOUTQ counts that for a local socket)."""
    answer = fcntl.ioctl(sender.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])
