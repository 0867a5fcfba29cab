"""Bands that are missing, old, or lie are named, with what to do about it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from edge.errors import BadInput, QwristError
from edge.samples import RATE_HZ, SIDES
from firmware_bridge import gatt
from firmware_bridge.connect import connect
from firmware_bridge.errors import BandNotFound, BandRefused
from firmware_bridge.rig import virtual_bands
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


@pytest.mark.parametrize("sides", [(), ("left", "left")])
def test_sides_that_make_no_sense_are_refused(sides):
    error = refusal(sides=sides)
    assert isinstance(error, BadInput)


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
