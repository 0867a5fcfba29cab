"""The objects that a D-Bus service shows: their interfaces, their properties, and what tells of changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"

Properties = dict[str, Variant]
Interfaces = dict[str, Properties]  # by name


class Objects:
    """Objects by path; each change is signalled as ObjectManager and Properties say."""

    def __init__(self, bus: MessageBus) -> None:
        self.by_path: dict[str, Interfaces] = {}
        self._bus = bus

    def add(self, path: str, interfaces: Interfaces) -> None:
        """Show an object."""
        self.by_path[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove_below(self, path: str) -> None:
        """Withdraw all objects below `path`, the deepest first."""
        for below in sorted((p for p in self.by_path if p.startswith(path + "/")), reverse=True):
            names = list(self.by_path.pop(below))
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [below, names])

    def change(self, path: str, interface: str, values: Mapping[str, Variant]) -> None:
        """Set properties; those of an object that is gone are nobody's."""
        if path in self.by_path:
            self.by_path[path][interface].update(values)
            self.tell(path, interface, values)

    def tell(self, path: str, interface: str, values: Mapping[str, Variant]) -> None:
        """Signal values."""
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, dict(values), []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[object]) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )
