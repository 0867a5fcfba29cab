"""Bands on the air are listed; where one is to be chosen, no guess is made."""

from __future__ import annotations

import asyncio

import pytest
from bleak.exc import BleakError

from firmware_bridge.band_script import Claims, Script
from firmware_bridge.errors import BandNotFound, BluetoothUnavailable
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import FoundBand, find, only_one, scan
from tests.firmware_bridge.sources import ArraySource, noise_uv


def test_two_bands_for_a_side_are_named():
    bands = [FoundBand("left", f"C0:00:00:00:00:0{i}", "Qwrist1L", 1, -50, None) for i in range(2)]
    with pytest.raises(BandNotFound, match=r"2 left bands are on the air .*00 and C0.*01.; switch one off"):
        only_one("left", bands, 10.0)


def test_a_rival_is_noticed_by_whoever_looks_for_one_band():
    """Both say that they are left: the first that is heard is not simply taken."""

    async def run():
        script = Script(right=Claims(side="left"))
        async with virtual_bands(ArraySource(noise_uv(100)), script=script) as rig, asyncio.timeout(30):
            await find(("left",), 3600.0, rig.backend)

    with pytest.raises(BandNotFound, match="2 left bands are on the air"):
        asyncio.run(run())


def test_another_protocol_is_named_before_connecting():
    band = FoundBand("left", "C0:00:00:00:00:01", "Qwrist2L", 2, -50, None)
    with pytest.raises(BandNotFound, match="speaks protocol 2, this version of qwrist speaks 1"):
        only_one("left", [band], 10.0)


def test_scanning_lists_the_bands():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            return await scan(0.3, rig.backend)

    found = asyncio.run(run())
    assert [(band.side, band.name, band.version) for band in found] == [
        ("left", "Qwrist1L", 1),
        ("right", "Qwrist1R", 1),
    ]


def test_finding_keeps_the_order_asked_for_and_waits_no_longer_than_it_must():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig, asyncio.timeout(30):
            return await find(("right", "left"), 3600.0, rig.backend)

    assert [band.side for band in asyncio.run(run())] == ["right", "left"]


def test_a_radio_that_does_not_scan_is_named(monkeypatch):
    async def fail(_scanner):
        raise BleakError("the radio is off")

    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            monkeypatch.setattr(rig.backend.scanner, "start", fail)
            await scan(0.3, rig.backend)

    with pytest.raises(BluetoothUnavailable, match=r"cannot scan \(the radio is off\); "):
        asyncio.run(run())
