"""A band that is lost is looked for, whatever it breaks off at, and nothing of a lost link stays behind."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from edge.errors import QwristError, SourceLost
from firmware_bridge import supervise
from firmware_bridge.band_script import Claims, DropEvent, MistreatEvent, Script
from firmware_bridge.connect import connect
from firmware_bridge.control import Config, Ping, Start
from firmware_bridge.errors import BandRefused
from firmware_bridge.link import LinkOptions
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import find
from firmware_bridge.supervise import AWAY, Life, Supervisor, pauses
from firmware_bridge.virtual_band import VirtualBand
from tests.firmware_bridge.sources import ArraySource, noise_uv

DROP = Script(events=(DropEvent(at_s=1.5, side="left", away_s=0.1),))


def tasks_left():
    """Of the host's; the virtual band's own end with its stack."""
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith(("BandLink", "Supervisor", "BandPair", "establish"))]


def stream(*, samples=6000, script=DROP, then=lambda _rig: None):
    """Read a virtual left band to its end: what each chunk held, and the counters."""

    async def run():
        chunks = []
        async with virtual_bands(ArraySource(noise_uv(samples)), sides=("left",), script=script) as rig:
            async with connect(("left",), backend=rig.backend, clock=rig.clock, codec=Codec.PACK12) as bands:
                async for chunk in bands.chunks():
                    chunks.append(chunk)
                    then(rig)
                stats = bands.stats()[0]
            assert rig.backend.backlogs == []
            assert tasks_left() == []
        return chunks, stats

    return asyncio.run(run())


def break_off(monkeypatch, method, when, times):
    """Let a band drop the link instead of doing `method`, where `when` says so, so many times."""
    original, count = getattr(VirtualBand, method), 0

    def broken(band, *arguments):
        nonlocal count
        if band.sampler.numbering[0] > 0 and when(*arguments) and count < times:
            count += 1
            band._peripheral.soon(band.disconnect())
        return original(band, *arguments)

    monkeypatch.setattr(VirtualBand, method, broken)
    return lambda: count


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("_on_status", lambda _connection: True),
        ("_on_battery", lambda _connection: True),
        ("_operate", lambda operation, _connection: isinstance(operation, Config)),
        ("_operate", lambda operation, _connection: isinstance(operation, Ping)),
        ("_operate", lambda operation, _connection: isinstance(operation, Start)),
    ],
    ids=["status", "battery", "CONFIG", "PING", "START"],
)
def test_a_band_that_is_lost_while_it_is_connected_to_is_connected_to_again(monkeypatch, method, when):
    broken = break_off(monkeypatch, method, when, times=2)
    chunks, stats = stream()
    assert broken() == 2
    assert stats.reconnects >= 1
    assert stats.received_samples + stats.missing_samples == 6000 == sum(len(c.time_s) for c in chunks)
    assert stats.missing_samples < 6000 - 2900
    assert stats.duplicates == 0


def test_a_band_that_comes_back_as_another_ends_the_stream():
    """Its firmware was exchanged meanwhile, say."""

    def exchange(rig):
        rig.bands["left"]._options = rig.bands["left"]._options._replace(claims=Claims(rate_hz=1000))

    with pytest.raises(BandRefused, match="samples at 1000 Hz"):
        stream(then=exchange)


def test_a_band_that_is_closed_while_it_is_looked_for_leaves_nothing():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(100)), sides=("left",)) as rig:
            (band,) = await find(("left",), 2.0, rig.backend)
            options = LinkOptions(Codec.PACK12)
            supervisor = Supervisor(
                band, options, clock=rig.clock, wake=lambda: None, backend=rig.backend, resume_s=60.0
            )
            await supervisor.open()
            await rig.bands["left"]._peripheral.vanish()
            supervisor.recover(SourceLost("it left"), useful=True)
            assert supervisor.link is None
            await asyncio.sleep(0.05)
            assert supervisor.life in AWAY
            assert tasks_left() != []
            await supervisor.close()
            assert supervisor.life is Life.CLOSED
            assert rig.backend.backlogs == []
            assert tasks_left() == []

    asyncio.run(run())


def test_a_link_that_cannot_be_opened_is_closed_again(monkeypatch):
    monkeypatch.setattr(VirtualBand, "_on_status", lambda *_: b"")

    async def run():
        async with virtual_bands(ArraySource(noise_uv(100)), sides=("left",)) as rig:
            with pytest.raises(QwristError, match="status reads nothing"):
                async with connect(("left",), backend=rig.backend, clock=rig.clock):
                    pass
            while rig.bands["left"].connected:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert rig.backend.backlogs == []

    asyncio.run(run())


def test_pauses_grow_to_four_seconds_and_are_never_in_step():
    for nominal, pause_s in zip([0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0], pauses(), strict=False):
        assert abs(pause_s - nominal) <= 0.2 * nominal
    assert len(set(islice(pauses(), 6))) == len(set(islice(pauses(), 1, 7))) == 6
    assert list(islice(pauses(), 1, 6)) != list(islice(pauses(), 1, 6))


def ends_with(script, resume_s):
    """How a stream of 30 s ends under `script`."""

    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(60_000)), script=script) as rig,
            connect(backend=rig.backend, clock=rig.clock, resume_s=resume_s) as bands,
        ):
            async for _ in bands.chunks():
                pass
            return bands.stats()

    return asyncio.run(run())


def test_what_no_one_foresaw_ends_the_stream_with_its_name(monkeypatch):
    async def broken(*_):
        raise EOFError("the bus is gone")

    monkeypatch.setattr(supervise, "find_again", broken)
    drop = DropEvent(at_s=2.0, side="left", away_s=20.0)
    with pytest.raises(SourceLost, match="looking for it failed: EOFError: the bus is gone"):
        ends_with(Script(events=[drop]), resume_s=30.0)


def test_a_band_that_connects_and_brings_nothing_is_given_up():
    """Without end it would be connected to twice a second."""
    damage = MistreatEvent(what="corrupt", at_s=2.0, side="left", percent=100, for_s=27.0)
    with pytest.raises(SourceLost, match=r"CRC is wrong.*looked for during 3 s"):
        ends_with(Script(events=[damage]), resume_s=3.0)
