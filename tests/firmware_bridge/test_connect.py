"""Bands that are missing, old, or lie are named, with what to do about it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from edge.errors import BadInput, QwristError, SourceLost
from edge.samples import RATE_HZ, SIDES
from firmware_bridge import gatt
from firmware_bridge.connect import connect, scan_bands
from firmware_bridge.errors import BandNotFound, BandRefused
from firmware_bridge.link import BandLink, LinkState
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import FoundBand, find, only_one
from tests.firmware_bridge.sources import ArraySource, noise_uv


def refusal(sides=SIDES, *, worn=SIDES, scan_timeout_s=2.0, **rig_options) -> QwristError:
    """What `connect` raises over a rig of virtual bands."""

    async def run():
        async with virtual_bands(ArraySource(noise_uv(100)), sides=worn, **rig_options) as rig:
            try:
                async with connect(
                    sides, backend=rig.backend, clock=rig.clock, scan_timeout_s=scan_timeout_s
                ):
                    return None
            except QwristError as error:
                return error

    error = asyncio.run(run())
    assert error is not None
    return error


def test_a_missing_band_is_named():
    error = refusal(scan_timeout_s=0.4, worn=("left",))
    assert isinstance(error, BandNotFound)
    assert str(error).startswith("no right band was heard in 0.4 s; switch it on")


def test_two_bands_for_a_side_are_named():
    bands = [FoundBand("left", f"C0:00:00:00:00:0{i}", "Qwrist1L", 1, -50, None) for i in range(2)]
    with pytest.raises(BandNotFound, match=r"2 left bands are on the air .*00 and C0.*01.; switch one off"):
        only_one("left", bands, 10.0)


def test_another_protocol_is_named_before_connecting():
    band = FoundBand("left", "C0:00:00:00:00:01", "Qwrist2L", 2, -50, None)
    with pytest.raises(BandNotFound, match="speaks protocol 2, this version of qwrist speaks 1"):
        only_one("left", [band], 10.0)


@pytest.mark.parametrize("mtu", [23, 38])
def test_an_mtu_without_room_for_a_sample_is_named(mtu):
    error = refusal(mtu=mtu)
    assert isinstance(error, BandRefused)
    assert f"agreed to an MTU of {mtu} bytes; one sample needs 39" in str(error)


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ({"version": 3}, "speaks protocol 3"),
        ({"side": "right"}, "says that it is a right band"),
        ({"rate_hz": 1000}, f"samples at 1000 Hz; {RATE_HZ} is needed"),
    ],
)
def test_a_band_that_is_not_what_it_seems_is_named(monkeypatch, lie, says):
    monkeypatch.setattr(
        "firmware_bridge.virtual_band.encode_status",
        lambda status: gatt.encode_status(status._replace(**lie)),
    )
    error = refusal(sides=("left",))
    assert isinstance(error, BandRefused)
    assert says in str(error)


def test_a_band_that_does_not_answer_is_lost(monkeypatch):
    async def never(_connection):
        await asyncio.Event().wait()

    monkeypatch.setattr("firmware_bridge.virtual_band.VirtualBand._on_status", lambda _, c: never(c))

    async def run():
        async with virtual_bands(ArraySource(noise_uv(100)), sides=("left",)) as rig:
            (band,) = await find(("left",), 2.0, rig.backend)
            link = BandLink(
                band,
                clock=rig.clock,
                codec=Codec.PACK12,
                wake=lambda: None,
                backend=rig.backend,
                gatt_timeout_s=0.1,
            )
            with pytest.raises(SourceLost, match=r"did not answer within 0.1 s \(reading\)"):
                await link.open()
            assert link.state is LinkState.LOST
            await link.close()

    asyncio.run(run())


@pytest.mark.parametrize("sides", [(), ("left", "left")])
def test_sides_that_make_no_sense_are_refused(sides):
    error = refusal(sides=sides)
    assert isinstance(error, BadInput)


def test_scanning_lists_the_bands():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            return await scan_bands(0.3, rig.backend)

    found = asyncio.run(run())
    assert [(band.side, band.name, band.version) for band in found] == [
        ("left", "Qwrist1L", 1),
        ("right", "Qwrist1R", 1),
    ]


def test_a_connection_leaves_the_band_free_for_the_next():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100))) as rig:
            for _ in range(2):
                async with connect(backend=rig.backend, clock=rig.clock) as bands:
                    assert bands.info.sides == SIDES
                    assert not bands.info.filtered
            assert rig.backend.backlogs == []

    asyncio.run(run())


def test_the_pure_parts_need_neither_bleak_nor_bumble():
    code = (
        "import sys; import firmware_bridge.connect, firmware_bridge.rig, firmware_bridge.align, "
        "firmware_bridge.packetizer; sys.exit(bool({'bleak', 'bumble', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
