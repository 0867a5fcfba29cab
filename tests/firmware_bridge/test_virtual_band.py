"""A virtual band behaves like one on a radio: it runs out of room, and says so."""

from __future__ import annotations

import asyncio

import numpy as np

from firmware_bridge.link import BandLink
from firmware_bridge.packet import Codec, Flags, Packet, decode
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import find
from firmware_bridge.virtual_band import VirtualBand
from tests.firmware_bridge.sources import ArraySource, noise_uv


def test_packets_without_room_are_dropped_counted_and_told(monkeypatch):
    queued = iter([0, 32, 32, 31, 0])
    monkeypatch.setattr(VirtualBand, "_transmit_queue", lambda _: next(queued))

    async def run():
        async with virtual_bands(ArraySource(noise_uv(0)), sides=("left",)) as rig:
            (found,) = await find(("left",), 2.0, rig.backend)
            link = BandLink(found, clock=rig.clock, codec=Codec.RAW16, wake=lambda: None, backend=rig.backend)
            await link.open()
            await link.start()
            band = rig.bands["left"]
            for sequence in range(5):
                counts = np.full((2, 16), sequence, np.int16)
                packet = Packet(Codec.RAW16, Flags.NONE, sequence, 2 * sequence, 1, counts)
                await band.send(packet)
            await link.stop()
            arrived = [decode(arrival.data) for arrival in link.take()]
            await link.close()
            return arrived, link.status.overflows

    arrived, overflows = asyncio.run(run())
    sent = [(packet.sequence, packet.flags) for packet in arrived if len(packet.counts)]
    assert sent == [(0, Flags.NONE), (3, Flags.OVERFLOW), (4, Flags.NONE)]
    assert overflows == 2
