"""What a user does by bluetoothctl: power the adapter, agree to pair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal
from dbus_fast.service import ServiceInterface, dbus_method

ADAPTER: Final = "/org/bluez/hci0"
_AGENT: Final = "/qwrist/agent"
_ADAPTER_S: Final = 120.0  # from the controller's first answer to an adapter on the bus


class Agent(ServiceInterface):
    """Agrees to everything, as `bluetoothctl agent NoInputNoOutput` does."""

    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")

    # Names, and types as annotations, are D-Bus's.

    @dbus_method()
    def Release(self):  # noqa: N802
        pass

    @dbus_method()
    def RequestAuthorization(self, device: "o"):  # noqa: F821, N802, UP037
        pass

    @dbus_method()
    def RequestConfirmation(self, device: "o", passkey: "u"):  # noqa: F821, N802, UP037
        pass

    @dbus_method()
    def Cancel(self):  # noqa: N802
        pass


@asynccontextmanager
async def powered_adapter() -> AsyncIterator[MessageBus]:
    """The system bus of the environment, its adapter powered and an agent registered. Raises TimeoutError."""
    bus = await _connected()
    try:
        await _powered(bus)
        bus.export(_AGENT, Agent())
        for member, signature, body in (
            ("RegisterAgent", "os", [_AGENT, "NoInputNoOutput"]),
            ("RequestDefaultAgent", "o", [_AGENT]),
        ):
            reply = await _call(bus, "/org/bluez", "org.bluez.AgentManager1", member, signature, body)
            if reply.message_type is MessageType.ERROR:
                raise RuntimeError(f"{member}: {reply.error_name} {reply.body}")
        yield bus
    finally:
        bus.disconnect()


async def property_of(bus: MessageBus, path: str, interface: str, name: str) -> object:
    """A property of an object of BlueZ's."""
    reply = await _call(bus, path, "org.freedesktop.DBus.Properties", "Get", "ss", [interface, name])
    if reply.message_type is MessageType.ERROR:
        raise LookupError(f"{path} {name}: {reply.error_name} {reply.body}")
    return reply.body[0].value


async def _connected() -> MessageBus:
    async with asyncio.timeout(_ADAPTER_S):
        while True:
            try:
                return await MessageBus(bus_type=BusType.SYSTEM, auth=AuthExternal(uid=0)).connect()
            except (OSError, EOFError):  # socat listens before the bus does
                await asyncio.sleep(0.5)


async def _powered(bus: MessageBus) -> None:
    on = ["org.bluez.Adapter1", "Powered", Variant("b", True)]
    async with asyncio.timeout(_ADAPTER_S):
        while True:
            reply = await _call(bus, ADAPTER, "org.freedesktop.DBus.Properties", "Set", "ssv", on)
            if reply.message_type is not MessageType.ERROR:
                return
            await asyncio.sleep(0.5)


async def _call(
    bus: MessageBus, path: str, interface: str, member: str, signature: str, body: list[object]
) -> Message:
    message = Message(
        destination="org.bluez", path=path, interface=interface, member=member, signature=signature, body=body
    )
    reply = await bus.call(message)
    if reply is None:
        raise RuntimeError(f"{member} was not answered")
    return reply
