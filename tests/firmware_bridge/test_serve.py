"""Bands for others, over HCI on a socket: what arrives is what was sent, whoever comes and goes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bleak import BleakScanner
from bumble.core import ConnectionPHY
from bumble.device import Device
from bumble.hci import Address, Phy

from edge.errors import BadInput, SourceLost
from edge.samples import SIDES
from firmware_bridge import supervise
from firmware_bridge.backends.dongle import open_bumble, open_hci, reset
from firmware_bridge.connect import connect
from firmware_bridge.gatt import STATUS, decode_status
from firmware_bridge.packet import Codec, quantize
from firmware_bridge.rig import Rig
from firmware_bridge.serve import Dongles, Listen, serve
from firmware_bridge.virtual_air import VirtualAir
from firmware_bridge.virtual_listener import listening
from tests.firmware_bridge.host import connected, stream
from tests.firmware_bridge.sources import ArraySource, noise_uv


@asynccontextmanager
async def bands(samples, sides=SIDES):
    """Served bands, and what reaches them."""
    async with serve(ArraySource(noise_uv(samples)), sides, Listen()) as served:
        yield served, served.band.removeprefix("ble:hci=")


def rig_of(backend, served) -> Rig:
    """What `host` wants of a rig: a way in, and a clock."""
    rig = Rig.__new__(Rig)
    rig.backend, rig.clock = backend, served.rig.clock
    return rig


def sent(samples, wrist):
    return quantize(noise_uv(samples)[:, wrist], Codec.RAW16)


def test_both_bands_reach_another_host_bit_for_bit():
    async def run():
        async with bands(1500) as (served, transport), open_bumble(transport) as backend:
            rig = rig_of(backend, served)
            got = await asyncio.gather(*(stream(rig, side, Codec.RAW16) for side in SIDES))
            await served.wait()
            return [packets for packets, _ in got]

    for wrist, packets in enumerate(asyncio.run(run())):
        counts = np.concatenate([packet.counts for _, packet in packets])
        first = 1500 - len(counts)  # the source begins with the first START
        assert 0 <= first < 1400
        np.testing.assert_array_equal(counts, sent(1500, wrist)[first:])
    assert wrist == 1


def test_two_processes_have_an_adapter_each():
    async def run():
        async with (
            bands(200) as (served, transport),
            open_bumble(transport) as one,
            open_bumble(transport) as other,
        ):
            return await asyncio.gather(
                stream(rig_of(one, served), "left", Codec.RAW16),
                stream(rig_of(other, served), "right", Codec.RAW16),
            )

    assert all(packets for packets, _ in asyncio.run(run()))


def test_one_band_streams_though_nobody_takes_the_other():
    async def run():
        async with bands(200) as (served, transport), open_bumble(transport) as backend:
            return await asyncio.wait_for(stream(rig_of(backend, served), "right", Codec.RAW16), 20)

    packets, _ = asyncio.run(run())
    np.testing.assert_array_equal(np.concatenate([p.counts for _, p in packets]), sent(200, 1))


def test_a_process_that_dies_leaves_its_band_to_the_next():
    async def run():
        async with bands(4000, sides=("left",)) as (served, transport):
            opened = open_hci(transport)
            hci = await opened.__aenter__()
            device = Device.with_hci("dies", Address.generate_static_address(), hci.source, hci.sink)
            await reset(transport, device)
            await device.connect(Address("C0:51:57:00:00:01"))
            assert served.rig.bands["left"].connected
            hci.sink.transport.abort()  # as the death of its process does
            async with open_bumble(transport) as backend, connected(rig_of(backend, served), "left"):
                assert served.rig.bands["left"].connected
            await opened.__aexit__(None, None, None)

    asyncio.run(run())


def test_a_controller_that_is_gone_is_a_lost_link():
    async def run():
        async with (
            bands(4000, sides=("left",)) as (served, transport),
            open_bumble(transport) as backend,
            connected(rig_of(backend, served), "left") as host,
        ):
            backend.client.device.host.hci_sink.transport.abort()  # as a dongle that is pulled
            await asyncio.wait_for(host.gone.wait(), 5)
            assert not host.client.is_connected

    asyncio.run(run())


def test_a_controller_that_is_gone_ends_the_stream_by_its_name(monkeypatch):
    """And not after the minute for which a band is looked for: there is nothing to look with."""

    async def look(*_args):
        raise AssertionError("a band is looked for with a controller that is gone")

    monkeypatch.setattr(supervise, "find_again", look)
    transports = []

    async def run():
        async with (
            bands(40_000) as (served, transport),
            open_bumble(transport) as backend,
            connect(backend=backend, clock=served.rig.clock) as pair,
        ):
            transports.append(transport)
            async for _ in pair.chunks():
                backend.client.device.host.hci_sink.transport.abort()  # as a dongle that is pulled

    with pytest.raises(SourceLost) as lost:
        asyncio.run(run())
    assert f"the controller {transports[0]} is gone; plug it in again" in str(lost.value)


@pytest.mark.parametrize(
    ("garbage", "hangs_up"),
    [(b"\xff" * 64, True), (b"\x01\x03\x0c\xff" + bytes(255), False), (b"\x02" + bytes(300), False)],
    ids=["no HCI", "a reset that is too long", "data for nobody"],
)
def test_a_connection_of_garbage_harms_no_other(garbage, hangs_up):
    async def run():
        async with bands(0, sides=("left",)) as (_, transport):
            _, host, port = transport.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            if not hangs_up:
                writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            async with open_bumble(transport) as backend:
                found = await BleakScanner.discover(0.3, backend=backend.scanner)
                assert [device.name for device in found] == ["Qwrist1L"]

    asyncio.run(run())


def test_a_port_in_use_is_named():
    async def run():
        async with listening(VirtualAir(), "127.0.0.1", 0) as port:
            with pytest.raises(BadInput, match="it is in use; name another port"):
                async with listening(VirtualAir(), "127.0.0.1", port):
                    pass

    asyncio.run(run())


def test_a_band_on_a_controller_of_its_own():
    """--hci, on controllers that are reached over TCP: the air behind them is another process's affair."""

    async def run():
        air = VirtualAir()
        source = ArraySource(noise_uv(300))
        async with listening(air, "127.0.0.1", 0) as port:
            transport = f"tcp-client:127.0.0.1:{port}"
            async with (
                serve(source, SIDES, Dongles((transport, transport))) as served,
                open_bumble(transport) as backend,
            ):
                assert served.band == "ble:"
                rig = rig_of(backend, served)
                return await asyncio.gather(*(stream(rig, side, Codec.RAW16) for side in SIDES))

    for wrist, (packets, _) in enumerate(asyncio.run(run())):
        counts = np.concatenate([packet.counts for _, packet in packets])
        np.testing.assert_array_equal(counts, sent(300, wrist)[300 - len(counts) :])


def test_a_band_on_a_controller_of_its_own_says_what_the_connection_became():
    async def run():
        air = VirtualAir()
        async with listening(air, "127.0.0.1", 0) as port:
            transport = f"tcp-client:127.0.0.1:{port}"
            async with (
                serve(ArraySource(noise_uv(4000)), ["left"], Dongles((transport,))) as served,
                open_bumble(transport) as backend,
                connected(rig_of(backend, served), "left") as host,
            ):
                said = [decode_status(await host.client.read_gatt_char(STATUS)).phy]
                link = served.rig.bands["left"]._peripheral.connection
                for phy in (Phy.LE_2M, Phy.LE_CODED):
                    link.emit(link.EVENT_CONNECTION_PHY_UPDATE, ConnectionPHY(phy, phy))
                    said.append(decode_status(await host.client.read_gatt_char(STATUS)).phy)
                return said

    assert asyncio.run(run()) == [1, 2, 3]  # bumble's controllers know no other PHY than the first


def test_a_dongle_is_one_band():
    async def run():
        async with serve(ArraySource(noise_uv(0)), SIDES, Dongles(("usb:0",))):
            pass

    with pytest.raises(BadInput, match="2 bands and 1 dongles; a controller is one band"):
        asyncio.run(run())


def test_the_product_s_own_host_reads_served_bands():
    async def run():
        async with bands(3000) as (served, transport), open_bumble(transport) as backend:
            async with connect(backend=backend, codec=Codec.RAW16) as pair:
                async for _ in pair.chunks():
                    pass
            await served.wait()
            return pair.stats()

    for stats in asyncio.run(run()):
        assert stats.lost == stats.refused == stats.missing_samples == 0
        assert 2500 < stats.received_samples <= 3000
