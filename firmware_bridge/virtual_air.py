"""The air between virtual controllers: bumble's local link, with quiet to wait for and connection events."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from typing import Final

from bumble import controller, core, hci, link, ll

from edge.samples import RATE_HZ
from firmware_bridge.band_script import Radio

_LINK_PDU_BYTES: Final = 251  # with the data length extension, which every band asks for


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


class Pacer:
    """One connection's events: which packets of the band leave at which.

    An event carries `radio.pdus` PDUs of the link layer, or ends at the first that fails, which is sent again
    at the next: nothing is lost on the air, it is late. Packets that wait are not reported to the host as
    completed, so that its queue grows as it does behind a real radio.
    """

    def __init__(self, radio: Radio, seed: str) -> None:
        self.radio = radio
        self._random = random.Random(seed)
        self._packets: deque[hci.HCI_AclDataPacket] = deque()
        self._pdus_sent = 0  # of the first packet
        self._anchor_ticks = self._random.random() * self._interval_ticks

    @property
    def waiting(self) -> bool:
        """Whether a packet waits for an event."""
        return bool(self._packets)

    def put(self, packet: hci.HCI_AclDataPacket) -> None:
        """Let a packet wait."""
        self._packets.append(packet)

    def next_event(self, tick: float) -> float:
        """The tick of the first event after `tick`."""
        passed = (tick - self._anchor_ticks) / self._interval_ticks
        return self._anchor_ticks + (math.floor(passed) + 1) * self._interval_ticks

    def event(self) -> list[hci.HCI_AclDataPacket]:
        """The packets that have left completely after one more event."""
        left = []
        for _ in range(self.radio.pdus):
            if not self._packets or self._random.random() * 100 < self.radio.error_percent:
                break
            self._pdus_sent += 1
            if self._pdus_sent * _LINK_PDU_BYTES >= len(self._packets[0].data):
                left.append(self._packets.popleft())
                self._pdus_sent = 0
        return left

    def drain(self) -> list[hci.HCI_AclDataPacket]:
        """All that waits."""
        left = list(self._packets)
        self.forget()
        return left

    def forget(self) -> None:
        """Nothing waits."""
        self._packets.clear()
        self._pdus_sent = 0

    @property
    def _interval_ticks(self) -> float:
        return self.radio.interval_ms * RATE_HZ / 1000


class VirtualController(controller.Controller):
    """A controller on a VirtualAir whose buffers hold a whole notification."""

    # A 517-byte ATT PDU and its L2CAP header in one HCI packet instead of three: what is fragmented for the
    # air is not the host's business, and bumble's default of 27 bytes would cost twenty packets each.
    le_acl_data_packet_length = 521

    def __init__(self, name: str, air: VirtualAir) -> None:
        super().__init__(name, link=air)
        self._air = air
        self.pacer: Pacer | None = None
        self.waiting = asyncio.Event()  # set while a packet waits for a connection event
        self._pacing = False

    def set_pacing(self, *, running: bool) -> None:
        """Whether packets wait for connection events, where there is a pacer; at once what waits, if not."""
        self._pacing = running
        if self.pacer is not None and not running:
            self._send(self.pacer.drain())

    def next_event(self, tick: float) -> float:
        """The first connection event after `tick` that has something to send; infinite if nothing waits."""
        return self.pacer.next_event(tick) if self.pacer is not None and self.pacer.waiting else math.inf

    def connection_event(self) -> None:
        """One event of a paced connection."""
        if self.pacer is not None:
            self._send(self.pacer.event())

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Send a packet of the host, at once or at an event to come."""
        if self.pacer is None or not self._pacing:
            super().on_hci_acl_data_packet(packet)
        else:
            self.pacer.put(packet)
            self.waiting.set()

    def on_le_disconnected(self, connection: controller.Connection, reason: int) -> None:
        """What waited for the link is gone with it."""
        if self.pacer is not None:
            self.pacer.forget()
            self.waiting.clear()
        super().on_le_disconnected(connection, reason)

    def unplug(self) -> None:
        """Leave the air; the peers lose their links, as after a supervision timeout."""
        for connection in list(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_CONNECTION_TIMEOUT_ERROR))
        self._air.remove_controller(self)

    def _send(self, packets: list[hci.HCI_AclDataPacket]) -> None:
        for packet in packets:
            super().on_hci_acl_data_packet(packet)
        if self.pacer is None or not self.pacer.waiting:
            self.waiting.clear()

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
