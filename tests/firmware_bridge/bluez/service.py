"""An org.bluez service backed by a bumble host: what bluetoothd offers of its adapter and devices."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from bumble import att, core
from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement, Connection, Device
from bumble.hci import Address
from dbus_fast import ErrorType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.firmware_bridge.bluez.attributes import Attributes
from tests.firmware_bridge.bluez.objects import OBJECT_MANAGER, PROPERTIES, Objects

ADAPTER: Final = "org.bluez.Adapter1"
DEVICE: Final = "org.bluez.Device1"
ADAPTER_PATH: Final = "/org/bluez/hci0"

_CONNECT_S: Final = 20.0


class Reply(NamedTuple):
    """What a method returns."""

    signature: str = ""
    body: tuple[object, ...] = ()
    files: tuple[int, ...] = ()


class Refusal(Exception):
    """A method that answers with an error of this name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class BluezService:
    """Owns org.bluez on `bus`; `central` does what it is asked."""

    def __init__(self, bus: MessageBus, central: Device, *, refuse: Refusal | None = None) -> None:
        self._bus = bus
        self._central = central
        self._refuse = refuse  # what every method of the adapter answers, for tests of that
        self._objects = Objects(bus)
        self._attributes = Attributes(self._objects)
        self._scanning = 0
        self._addresses: dict[str, Address] = {}  # by the device's path
        self._connections: dict[str, Connection] = {}
        self._listener: str | None = None  # the bus name of who reads notifications by signal
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, *, powered: bool = True) -> None:
        """Come up."""
        self._bus.add_message_handler(self._on_message)
        self._objects.add(
            ADAPTER_PATH,
            {
                ADAPTER: {
                    "Address": Variant("s", _text(self._central.random_address)),
                    "Name": Variant("s", "virtual"),
                    "Alias": Variant("s", "virtual"),
                    "Powered": Variant("b", powered),
                    "Discovering": Variant("b", False),
                    "Roles": Variant("as", ["central"]),
                }
            },
        )
        self._central.on(Device.EVENT_ADVERTISEMENT, self._on_advertisement)
        await self._bus.request_name("org.bluez")

    def in_flight(self) -> int:
        """Notifications that the client has not read yet."""
        return self._attributes.in_flight()

    def _on_message(self, message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL or message.interface.endswith(".Peer"):
            return False
        self._run(self._answer(message))
        return True

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Message) -> None:
        try:
            reply = await self._do(message)
        except Refusal as refused:
            answer = Message.new_error(message, refused.name, str(refused))
        except att.ATT_Error as error:
            answer = Message.new_error(
                message,
                "org.bluez.Error.Failed",
                f"Operation failed with ATT error: 0x{error.error_code:02x}",
            )
        except (core.BaseBumbleError, TimeoutError) as error:
            answer = Message.new_error(message, "org.bluez.Error.Failed", str(error))
        else:
            answer = Message.new_method_return(message, reply.signature, list(reply.body), list(reply.files))
        self._bus.send(answer)

    async def _do(self, message: Message) -> Reply:
        if message.interface == OBJECT_MANAGER:
            if message.sender is not None:
                self._listen_for(message.sender)
            return Reply("a{oa{sa{sv}}}", (self._objects.by_path,))
        if message.path not in self._objects.by_path:
            raise Refusal(ErrorType.UNKNOWN_OBJECT.value, f"there is no {message.path}")
        if message.interface == PROPERTIES:
            return self._properties(message)
        if message.interface == ADAPTER:
            return await self._adapter(message.member)
        if message.interface == DEVICE:
            return await self._device(message.path, message.member)
        return Reply(*await self._attributes.do(message))

    def _listen_for(self, name: str) -> None:
        """Whoever asked for all objects is told of values; a ping after each says that it has read it."""

        async def read() -> None:
            await self._bus.call(
                Message(destination=name, path="/", interface="org.freedesktop.DBus.Peer", member="Ping")
            )

        self._attributes.read_by = lambda: self._run(self._attributes.counted(read()))

    def _properties(self, message: Message) -> Reply:
        interfaces = self._objects.by_path[message.path]
        interface = message.body[0]
        match message.member:
            case "Get":
                return Reply("v", (interfaces[interface][message.body[1]],))
            case "GetAll":
                return Reply("a{sv}", (interfaces.get(interface, {}),))
            case "Set":
                self._objects.change(message.path, interface, {message.body[1]: message.body[2]})
                return Reply()
            case _:
                raise Refusal(ErrorType.UNKNOWN_METHOD.value, message.member)

    async def _adapter(self, member: str) -> Reply:
        if self._refuse is not None:
            raise self._refuse
        match member:
            case "SetDiscoveryFilter" | "RemoveDevice":
                return Reply()
            case "StartDiscovery":
                self._scanning += 1
                await self._central.start_scanning(active=True, filter_duplicates=False)
                return Reply()
            case "StopDiscovery":
                self._scanning -= 1
                if not self._scanning:
                    await self._central.stop_scanning()
                return Reply()
            case _:
                raise Refusal(ErrorType.UNKNOWN_METHOD.value, member)

    async def _device(self, path: str, member: str) -> Reply:
        match member:
            case "Connect":
                await self._connect(path)
            case "Disconnect":
                if path in self._connections:
                    await self._connections[path].disconnect()
            case "Pair":
                await self._connect(path)
                await self._connections[path].pair()
                self._objects.change(
                    path, DEVICE, {"Paired": Variant("b", True), "Bonded": Variant("b", True)}
                )
            case _:
                raise Refusal(ErrorType.UNKNOWN_METHOD.value, member)
        return Reply()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        if not self._scanning:
            return
        address = _text(advertisement.address)
        path = f"{ADAPTER_PATH}/dev_{address.replace(':', '_')}"
        seen = _advertised(advertisement)
        if path in self._objects.by_path:
            self._objects.change(path, DEVICE, seen)
            return
        self._addresses[path] = advertisement.address
        flags = ("Connected", "Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing", "ServicesResolved")
        fixed = {
            "Address": Variant("s", address),
            "AddressType": Variant("s", "random"),
            "Alias": Variant("s", address),
            "Adapter": Variant("o", ADAPTER_PATH),
            **{flag: Variant("b", False) for flag in flags},
        }
        self._objects.add(path, {DEVICE: fixed | seen})

    async def _connect(self, path: str) -> None:
        if path in self._connections:
            return
        connection = await self._central.connect(self._addresses[path], timeout=_CONNECT_S)
        self._connections[path] = connection

        def on_disconnection(_: int) -> None:
            del self._connections[path]
            gone = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
            self._objects.change(path, DEVICE, gone)
            self._attributes.forget_below(path)
            self._objects.remove_below(path)

        connection.on(connection.EVENT_DISCONNECTION, on_disconnection)
        self._objects.change(path, DEVICE, {"Connected": Variant("b", True)})
        self._run(self._resolve(path, connection))

    async def _resolve(self, path: str, connection: Connection) -> None:
        await self._attributes.resolve(path, connection)
        self._objects.change(path, DEVICE, {"ServicesResolved": Variant("b", True)})


def _text(address: Address) -> str:
    return address.to_string(with_type_qualifier=False)


def _advertised(advertisement: Advertisement) -> dict[str, Variant]:
    seen = {"RSSI": Variant("n", advertisement.rssi)}
    for kind, value in advertisement.data.ad_structures:
        if kind == AdvertisingData.Type.COMPLETE_LOCAL_NAME:
            seen |= {"Name": Variant("s", value.decode()), "Alias": Variant("s", value.decode())}
        elif kind == AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS:
            uuids = [UUID.from_bytes(value[i : i + 16]) for i in range(0, len(value), 16)]
            seen["UUIDs"] = Variant("as", [uuid.to_hex_str("-").lower() for uuid in uuids])
    return seen
