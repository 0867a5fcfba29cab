"""A link opens, is lost or closes, and always says which."""

from __future__ import annotations

import asyncio

import pytest
from bumble import core

from edge.errors import SourceLost
from firmware_bridge.control import Result
from firmware_bridge.link import BandLink, LinkOptions, LinkState
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import find
from firmware_bridge.virtual_peripheral import Peripheral
from tests.firmware_bridge.sources import ArraySource, noise_uv


def with_link(use, **link_options):
    """Run `use(rig, link, woken)` with a link to one virtual left band, not open yet."""

    async def run():
        async with virtual_bands(ArraySource(noise_uv(100)), sides=("left",)) as rig:
            (band,) = await find(("left",), 2.0, rig.backend)
            woken = asyncio.Event()
            link = BandLink(
                band,
                LinkOptions(Codec.PACK12, **link_options),
                clock=rig.clock,
                wake=woken.set,
                backend=rig.backend,
            )
            await use(rig, link, woken)

    asyncio.run(run())


def test_its_states_follow_what_it_was_told():
    async def use(_rig, link, _woken):
        seen = [link.state]
        for step in (link.open, link.start, link.stop, link.close):
            await step()
            seen.append(link.state)
        assert seen == [
            LinkState.IDLE,
            LinkState.READY,
            LinkState.STREAMING,
            LinkState.READY,
            LinkState.CLOSED,
        ]

    with_link(use)


def test_a_band_that_does_not_answer_is_lost(monkeypatch):
    async def never(_connection):
        await asyncio.Event().wait()

    monkeypatch.setattr("firmware_bridge.virtual_band.VirtualBand._on_status", lambda _, c: never(c))

    async def use(_rig, link, _woken):
        with pytest.raises(SourceLost, match=r"did not answer within 0.1 s \(reading\)"):
            await link.open()
        assert link.state is LinkState.LOST
        await link.close()

    with_link(use, gatt_timeout_s=0.1)


def test_a_band_that_leaves_wakes_the_reader():
    async def use(rig, link, woken):
        await link.open()
        await rig.bands["left"].disconnect()
        await woken.wait()
        assert link.state is LinkState.LOST
        with pytest.raises(SourceLost, match="failed at START"):
            await link.start()

    with_link(use)


def test_an_answer_to_something_else_is_passed_over(monkeypatch):
    """Of the same number as what was asked, but not of the same opcode."""
    answer = Peripheral.answer

    def after_another(self, connection, response):
        stale = bytes([response[0] ^ 1, response[1], Result.UNSUPPORTED])
        answer(self, connection, stale)
        answer(self, connection, response)

    monkeypatch.setattr(Peripheral, "answer", after_another)

    async def use(_rig, link, _woken):
        await link.open()
        await link.start()
        assert link.start_answer is not None
        assert len(link.take_pongs()) == 4
        await link.close()

    with_link(use)


def test_closing_never_raises(monkeypatch):
    async def fail(*_args):
        raise core.InvalidStateError("the controller is gone")

    async def use(rig, link, _woken):
        await link.open()
        monkeypatch.setattr(rig.backend.client.device, "disconnect", fail)
        await link.close()
        assert link.state is LinkState.CLOSED

    with_link(use)
