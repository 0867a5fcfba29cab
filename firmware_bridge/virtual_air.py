"""The air between virtual controllers: bumble's local link, which also knows when it is quiet."""

from __future__ import annotations

import asyncio

from bumble import controller, core, hci, link


class VirtualAir(link.LocalLink):
    """A link without loss or timing, which counts what is under way.

    Once it is quiet, all that was sent has been handled by its receiver's host, callbacks included.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._in_flight = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        await self._quiet.wait()

    def depart(self) -> None:
        """Something is under way until `land`."""
        self._in_flight += 1
        self._quiet.clear()

    def land(self) -> None:
        """Something that was under way has been handled."""
        self._in_flight -= 1
        if not self._in_flight:
            self._quiet.set()

    def send_acl_data(
        self,
        sender_controller: controller.Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry a PDU to the controller of `destination_address`."""
        self.depart()
        super().send_acl_data(sender_controller, destination_address, transport, data)
        asyncio.get_running_loop().call_soon(self.land)  # runs right after the delivery queued above


class VirtualController(controller.Controller):
    """A controller on a VirtualAir whose buffers hold a whole notification."""

    # A 517-byte ATT PDU and its L2CAP header in one HCI packet instead of three: what is fragmented for the
    # air is not the host's business, and bumble's default of 27 bytes would cost twenty packets each.
    le_acl_data_packet_length = 521

    def __init__(self, name: str, air: VirtualAir) -> None:
        super().__init__(name, link=air)
        self._air = air

    # bumble writes each packet out for a log that nobody reads, a tenth of the whole stack's time: the two
    # methods below do what it does, without.

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take a packet from the host."""
        if isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Pass a packet up to the host."""
        self._air.depart()
        asyncio.get_running_loop().call_soon(self._deliver, bytes(packet))

    def _deliver(self, packet: bytes) -> None:
        try:
            if self.host:
                self.host.on_packet(packet)
        finally:
            self._air.land()
