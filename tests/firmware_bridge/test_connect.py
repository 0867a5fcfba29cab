"""Bands that are missing, old, or lie are named, with what to do about it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import pytest

from edge.errors import BadInput, QwristError
from edge.samples import RATE_HZ, SIDES
from firmware_bridge import gatt
from firmware_bridge.band_script import Claims, DriftEvent, Script
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


def test_two_bands_of_a_side_are_named():
    error = refusal(scan_timeout_s=0.6, script=Script(right=Claims(side="left")))
    assert isinstance(error, BandNotFound)
    assert "2 left bands are on the air (C0:51:57:00:00:0" in str(error)


@pytest.mark.parametrize("rate_hz", [1900, 2500])
def test_a_band_that_lies_about_its_rate_is_named_with_the_rate_that_it_has(rate_hz):
    ppm = 1e6 * (rate_hz / RATE_HZ - 1)  # no crystal is so bad, and no script may say so
    script = Script(events=(DriftEvent.model_construct(what="drift", at_s=0.0, side="left", ppm=ppm),))

    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(90_000)), sides=("left",), script=script) as rig,
            connect(("left",), backend=rig.backend, clock=rig.clock) as bands,
        ):
            async for _ in bands.chunks():
                pass

    with pytest.raises(BandRefused) as refused:
        asyncio.run(run())
    said = re.search(
        r"says that it samples at 2000 Hz, and (\d+) samples a second arrive", str(refused.value)
    )
    assert said is not None
    assert abs(int(said[1]) - rate_hz) <= 0.002 * rate_hz


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
