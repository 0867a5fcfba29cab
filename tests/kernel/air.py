"""The radio side: an adapter for the guest's kernel on the air of the virtual bands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bumble import hci
from bumble.transport import open_transport

from firmware_bridge.virtual_air import VirtualAir, VirtualController

# bumble's controller announces both and does not do all that a kernel then asks for: it would wait for events
# that never come.
_UNDONE = hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING


@asynccontextmanager
async def adapter(air: VirtualAir, hci_socket: Path) -> AsyncIterator[VirtualController]:
    """A controller on `air` that the kernel behind `hci_socket` drives."""
    async with await open_transport(f"unix-client:{hci_socket}") as transport:
        controller = VirtualController("adapter", air)
        controller.le_features &= ~_UNDONE
        controller.host = transport.sink
        transport.source.set_packet_sink(controller)
        yield controller
