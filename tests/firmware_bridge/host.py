"""The least host: it writes to CONTROL, keeps every packet and comes back whenever it is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bleak import BleakClient, BleakScanner

from edge.samples import RATE_HZ
from firmware_bridge.control import (
    Config,
    Operation,
    Request,
    Response,
    Start,
    decode_answer,
    decode_response,
    encode_request,
)
from firmware_bridge.errors import BadPacket
from firmware_bridge.gatt import CONTROL, STREAM, advertised_name
from firmware_bridge.packet import Codec, Flags, Packet, decode
from firmware_bridge.rig import Rig


class Host:
    """One connection."""

    def __init__(self, packets: list[tuple[float, Packet]]) -> None:
        self.client: BleakClient
        self.packets = packets
        self.gone = asyncio.Event()
        self._answers: asyncio.Queue[Response] = asyncio.Queue()

    async def ask(self, operation: Operation):
        """(result, answer) of an operation."""
        await self.client.write_gatt_char(CONTROL, encode_request(Request(9, operation)), response=True)
        response = await asyncio.wait_for(self._answers.get(), 5)
        return response.result, decode_answer(operation, response.data) if not response.result else None

    async def listen(self, clock) -> None:
        def on_packet(_, data: bytearray) -> None:
            try:
                packet = decode(bytes(data))
            except BadPacket:
                return
            self.packets.append((clock(), packet))
            if packet.flags & Flags.END:
                self.gone.set()

        await self.client.start_notify(STREAM, on_packet)
        await self.client.start_notify(
            CONTROL, lambda _, data: self._answers.put_nowait(decode_response(bytes(data)))
        )


@asynccontextmanager
async def connected(rig: Rig, side, packets=None, **client_options) -> AsyncIterator[Host]:
    """A host of one band, which listens."""
    device = await BleakScanner.find_device_by_name(advertised_name(side), 5, backend=rig.backend.scanner)
    assert device is not None
    host = Host([] if packets is None else packets)
    host.client = BleakClient(
        device, disconnected_callback=lambda _: host.gone.set(), backend=rig.backend.client, **client_options
    )
    async with host.client:
        await host.listen(rig.clock)
        yield host


async def stream(rig: Rig, side, *codecs: Codec):
    """All packets of a band with their times, and each START's answer; the host comes back when dropped."""
    packets: list[tuple[float, Packet]] = []
    starts = []
    while not (packets and packets[-1][1].flags & Flags.END):
        async with connected(rig, side, packets) as host:
            await host.ask(Config(codecs[0], frozenset(codecs), RATE_HZ))
            starts.append((await host.ask(Start()))[1])
            await host.gone.wait()
    return packets, starts
