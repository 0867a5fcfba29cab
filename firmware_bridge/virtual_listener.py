"""Adapters for other processes: each TCP connection is a Bluetooth controller of its own on a virtual air."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from edge.errors import BadInput
from firmware_bridge.virtual_air import VirtualAir, VirtualController


@asynccontextmanager
async def listening(air: VirtualAir, host: str, port: int) -> AsyncIterator[int]:
    """Serve HCI (H4 over TCP) until the context ends; give the port, a free one where `port` is 0.

    Raises BadInput where the address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    adapters: set[_Adapter] = set()
    try:
        server = await loop.create_server(lambda: _Adapter(air, adapters), host, port)
    except OSError as error:
        why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise BadInput(
            f"cannot listen on {host}:{port}: {why}; name another port, or 0 for a free one"
        ) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for adapter in list(adapters):
            adapter.close()
        await server.wait_closed()


class _Adapter(asyncio.Protocol):
    """One process and its controller, which is unplugged with the connection."""

    def __init__(self, air: VirtualAir, adapters: set[_Adapter]) -> None:
        self._adapters = adapters
        self._controller = VirtualController(f"adapter {id(self):x}", air)
        self._controller.host = self
        self._parser = PacketParser(self._controller)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A process opened its adapter."""
        self._transport = cast("asyncio.Transport", transport)
        self._adapters.add(self)

    def data_received(self, data: bytes) -> None:
        """HCI from the process; what is none ends the connection."""
        try:
            self._parser.feed_data(data)
        except InvalidPacketError:
            self.close()

    def on_packet(self, packet: bytes) -> None:
        """HCI to the process."""
        if self._transport is not None:
            self._transport.write(packet)

    def connection_lost(self, error: Exception | None) -> None:
        """The process closed its adapter, or died."""
        self._transport = None
        self._adapters.discard(self)
        self._controller.unplug()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
