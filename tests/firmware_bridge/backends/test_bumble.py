"""bleak's own API over a bumble host."""

from __future__ import annotations

import asyncio

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import att, core, hci

from firmware_bridge.control import (
    NO_REQUEST,
    Config,
    Identify,
    MeasureImpedance,
    Request,
    Response,
    Result,
    Start,
    Stop,
    decode_response,
    encode_request,
)
from firmware_bridge.gatt import (
    BAND_SERVICE,
    BATTERY_LEVEL,
    CONTROL,
    FIRMWARE_REVISION,
    STATUS,
    STREAM,
    decode_status,
)
from firmware_bridge.packet import Codec, decode
from firmware_bridge.rig import virtual_bands
from tests.firmware_bridge.sources import ArraySource, noise_uv


def with_rig(use, **options):
    """Run `use(rig)` beside one virtual left band."""

    async def run():
        async with virtual_bands(ArraySource(noise_uv(200)), sides=("left",), **options) as rig:
            return await use(rig)

    return asyncio.run(run())


async def left_band(rig):
    device = await BleakScanner.find_device_by_name("Qwrist1L", timeout=2, backend=rig.backend.scanner)
    return BleakClient(device, backend=rig.backend.client)


def test_scanning_filters_by_service():
    async def use(rig):
        ours, others = [
            await BleakScanner.discover(0.3, service_uuids=[uuid], backend=rig.backend.scanner)
            for uuid in (BAND_SERVICE, "0000180d-0000-1000-8000-00805f9b34fb")
        ]
        return [device.name for device in ours], others

    assert with_rig(use) == (["Qwrist1L"], [])


def test_an_advertisement_is_read_whole():
    async def use(rig):
        found = await BleakScanner.discover(0.3, return_adv=True, backend=rig.backend.scanner)
        ((device, data),) = found.values()
        return device, data

    device, data = with_rig(use)
    assert (device.name, data.local_name, data.service_uuids) == ("Qwrist1L", "Qwrist1L", [BAND_SERVICE])
    assert device.address == "C0:51:57:00:00:01"
    assert len(data.platform_data[0].data_bytes) == 31


def test_services_values_and_mtu():
    async def use(rig):
        async with await left_band(rig) as client:
            stream = client.services.get_characteristic(STREAM)
            return (
                client.name,
                client.mtu_size,
                stream.max_write_without_response_size,
                stream.properties,
                bytes(await client.read_gatt_char(FIRMWARE_REVISION)),
                (await client.read_gatt_char(BATTERY_LEVEL))[0],
                decode_status(await client.read_gatt_char(STATUS)).mtu,
                len(stream.descriptors),
            )

    expected = ("Qwrist1L", 247, 244, ["notify"], b"0.1.0", 87, 247, 1)
    assert with_rig(use, mtu=247) == expected


def test_a_write_that_is_refused_is_bleaks_protocol_error():
    async def use(rig):
        async with await left_band(rig) as client:
            with pytest.raises(BleakGATTProtocolError) as refused:
                await client.write_gatt_char(CONTROL, b"\x01", response=True)
            return refused.value.code

    assert with_rig(use) == NO_REQUEST


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([Config(Codec.RAW16, frozenset([Codec.RAW16]), 1000)], Result.UNSUPPORTED),
        ([Start(), Config(Codec.RAW16, frozenset([Codec.RAW16]), 2000)], Result.NOT_NOW),
        ([Start(), MeasureImpedance()], Result.NOT_NOW),
        ([MeasureImpedance()], Result.OK),
        ([Identify(2)], Result.OK),
    ],
)
def test_requests_are_answered_by_indications(operations, result):
    async def use(rig):
        answers: asyncio.Queue[Response] = asyncio.Queue()
        async with await left_band(rig) as client:
            await client.start_notify(CONTROL, lambda _, data: answers.put_nowait(decode_response(data)))
            for number, operation in enumerate(operations):
                await client.write_gatt_char(
                    CONTROL, encode_request(Request(number, operation)), response=True
                )
                answer = await answers.get()
                assert answer.number == number
            return answer.result

    assert with_rig(use) is result


def test_a_read_that_is_refused_is_bleaks_protocol_error(monkeypatch):
    def refuse(_band, _connection):
        raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)

    monkeypatch.setattr("firmware_bridge.virtual_band.VirtualBand._on_status", refuse)

    async def use(rig):
        async with await left_band(rig) as client:
            with pytest.raises(BleakGATTProtocolError) as refused:
                await client.read_gatt_char(STATUS)
            return refused.value.code

    assert with_rig(use) == att.ATT_READ_NOT_PERMITTED_ERROR


def test_notifications_come_in_order_until_they_are_stopped():
    async def use(rig):
        values = []
        ended = asyncio.Event()

        def on_value(_, value):
            values.append(decode(bytes(value)))
            if values[-1].flags:
                ended.set()

        async with await left_band(rig) as client:
            await client.start_notify(STREAM, on_value)
            await client.write_gatt_char(CONTROL, encode_request(Request(0, Start())), response=True)
            await ended.wait()
            await client.stop_notify(STREAM)
        return values

    values = with_rig(use)
    assert [value.sequence for value in values] == list(range(17))  # 200 / 13 samples, and the end
    assert sum(len(value.counts) for value in values) == 200


def test_a_disconnection_by_the_band_is_told_and_ends_the_client():
    async def use(rig):
        told = asyncio.Event()
        device = await BleakScanner.find_device_by_name("Qwrist1L", timeout=2, backend=rig.backend.scanner)
        client = BleakClient(device, lambda _: told.set(), backend=rig.backend.client)
        await client.connect()
        await rig.bands["left"].disconnect()
        await told.wait()
        assert not client.is_connected
        with pytest.raises(BleakError):
            await client.read_gatt_char(STATUS)
        async with await left_band(rig) as again:  # it advertises again
            assert again.is_connected

    with_rig(use)


def test_a_request_that_the_band_leaves_unanswered_by_leaving_is_an_error():
    async def use(rig):
        async with await left_band(rig) as client:
            await client.write_gatt_char(CONTROL, encode_request(Request(0, Stop())), response=True)
            dropping = asyncio.ensure_future(rig.bands["left"].disconnect())

            async def read_on():
                while True:
                    await client.read_gatt_char(STATUS)

            with pytest.raises(BleakError, match="disconnected"):
                await read_on()
            await dropping

    with_rig(use)


@pytest.mark.parametrize("error", [core.InvalidStateError("no"), hci.HCI_Error(0x02), core.TimeoutError()])
def test_an_error_of_bumbles_is_bleaks(monkeypatch, error):
    async def fail(*_args):
        raise error

    async def use(rig):
        client = await left_band(rig)
        await client.connect()
        monkeypatch.setattr(rig.backend.client.device, "disconnect", fail)
        with pytest.raises(BleakError, match="disconnecting failed"):
            await client.disconnect()
        monkeypatch.setattr("bumble.gatt_client.Client.send_request", fail)
        with pytest.raises(BleakError, match="a request failed"):
            await client.read_gatt_char(STATUS)

    with_rig(use)


def test_a_discovery_that_fails_is_bleaks_error_and_leaves_no_connection(monkeypatch):
    async def fail(*_args):
        raise core.InvalidStateError("no")

    monkeypatch.setattr("bumble.gatt_client.Client.discover_services", fail)

    async def use(rig):
        client = await left_band(rig)
        with pytest.raises(BleakError, match="discovering failed"):
            await client.connect()
        assert not client.is_connected

    with_rig(use)


def test_an_address_alone_is_looked_for():
    async def use(rig):
        async with BleakClient("C0:51:57:00:00:01", backend=rig.backend.client) as client:
            with pytest.raises(BleakError, match="already connected"):
                await client.connect()
            assert client.is_connected
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient("C0:00:00:00:00:00", timeout=0.3, backend=rig.backend.client).connect()

    with_rig(use)
