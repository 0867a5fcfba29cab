"""A band's Bluetooth side: pairing, who may ask, and being heard again."""

from __future__ import annotations

import asyncio

import pytest
from bleak import BleakScanner
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode
from bumble.device import Connection

from firmware_bridge.control import Config, Result
from firmware_bridge.gatt import BATTERY_LEVEL, STATUS
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from tests.firmware_bridge.host import connected
from tests.firmware_bridge.sources import ArraySource, noise_uv

CONFIG = Config(Codec.PACK12, frozenset({Codec.PACK12}), 2000)


def with_encrypted(use):
    async def run():
        async with virtual_bands(ArraySource(noise_uv(0)), sides=("left",), encrypted=True) as rig:
            await use(rig)

    asyncio.run(run())


def test_an_encrypted_band_answers_nobody_who_has_not_paired():
    async def use(rig):
        async with connected(rig, "left") as host:
            for ask in (host.client.read_gatt_char(STATUS), host.ask(CONFIG)):
                with pytest.raises(BleakGATTProtocolError) as refused:
                    await ask
                assert refused.value.code == BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION
            assert await host.client.read_gatt_char(BATTERY_LEVEL)  # for the taskbar

    with_encrypted(use)


def test_pairing_is_by_secure_connections_and_lasts(monkeypatch):
    """The second connection encrypts with the keys of the first: it does not pair again."""

    async def use(rig):
        links = []
        for _ in range(2):
            async with connected(rig, "left") as host:
                await host.client.pair()
                (link,) = rig.backend.client.device.connections.values()
                links.append((link.is_encrypted, link.sc))
                assert (await host.ask(CONFIG))[0] is Result.OK
            monkeypatch.setattr(Connection, "pair", None)
        async with connected(rig, "left", pair=True) as host:
            assert await host.client.read_gatt_char(STATUS)
        assert links[0] == (True, True)
        assert links[1][0]

    with_encrypted(use)


def test_a_band_that_forgot_its_keys_is_not_paired_with_again_unasked():
    async def use(rig):
        async with connected(rig, "left") as host:
            await host.client.pair()
        band = rig.bands["left"]
        band._peripheral._device.keystore.all_keys.clear()
        async with connected(rig, "left") as host:
            with pytest.raises(BleakError, match="pairing failed"):
                await host.client.pair()
        async with connected(rig, "left") as host:
            await host.client.unpair()
            await host.client.pair()
            assert (await host.ask(CONFIG))[0] is Result.OK

    with_encrypted(use)


def test_a_band_is_heard_unless_it_is_connected_or_away():
    async def use(rig):
        async def heard():
            found = await BleakScanner.discover(0.3, backend=rig.backend.scanner)
            return [device.name for device in found]

        peripheral = rig.bands["left"]._peripheral
        assert await heard() == ["Qwrist1L"]
        async with connected(rig, "left"):
            assert await heard() == []
        assert await heard() == ["Qwrist1L"]
        async with connected(rig, "left") as host:
            await peripheral.vanish()
            assert not host.client.is_connected
            assert await heard() == []
        await peripheral.appear()
        assert await heard() == ["Qwrist1L"]

    with_encrypted(use)
