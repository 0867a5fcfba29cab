"""What both services of a virtual device share: one host, notified in order, asked and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from bumble import att
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue

from firmware_bridge.control import NO_REQUEST, RefusedRequest, Result
from firmware_bridge.errors import BadPacket

_MAX_VALUE_BYTES: Final = 512  # of any attribute: Bluetooth Core, Vol 3, Part F, 3.2.9
_NOTIFICATION_BYTES: Final = 3  # opcode and handle, of the MTU
_Properties: Final = Characteristic.Properties
_Permissions: Final = Characteristic.Permissions


class Asked:
    """A control point, and a characteristic that notifies the host that asked last."""

    def __init__(self, control: str, notifies: str, operate: Callable[[bytes], bytes]) -> None:
        """`operate` answers a request with its data. It raises RefusedRequest, BadPacket."""
        self.connection: Connection | None = None
        self.control: Characteristic[bytes] = Characteristic(
            control,
            _Properties.WRITE | _Properties.INDICATE,
            _Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_control),
        )
        self.out: Characteristic[bytes] = Characteristic(notifies, _Properties.NOTIFY, _Permissions(0), b"")
        self._operate = operate
        self._working: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        """The largest notification."""
        mtu = self.connection.att_mtu if self.connection else att.ATT_DEFAULT_MTU
        return min(mtu - _NOTIFICATION_BYTES, _MAX_VALUE_BYTES)

    async def notify(self, value: bytes) -> None:
        """Notify the host, if there is one."""
        if self.connection is not None:
            await self.connection.device.gatt_server.notify_subscriber(self.connection, self.out, value)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` beside all else."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    def _on_control(self, connection: Connection, value: bytes) -> None:
        if self.connection is not connection:
            self.connection = connection
            connection.on(connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            result, data = Result.OK, self._operate(value)
        except RefusedRequest as refused:
            result, data = refused.result, b""
        except BadPacket as error:
            raise att.ATT_Error(NO_REQUEST) from error
        response = bytes([value[0] | 0x80, value[1], result]) + data
        # Later: its confirmation comes after the answer to the write.
        self.later(connection.device.gatt_server.indicate_subscriber(connection, self.control, response))

    def _on_disconnection(self, _: int) -> None:
        self.connection = None


def readable(uuid: str, read: Callable[[], bytes]) -> Characteristic[bytes]:
    """A value that is made when it is read."""
    return Characteristic(
        uuid, _Properties.READ, _Permissions.READABLE, CharacteristicValue(read=lambda _: read())
    )
