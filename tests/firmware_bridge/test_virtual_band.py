"""A virtual band behaves like one on a radio: its answers, what it tells unasked, how it runs out of room."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from firmware_bridge.band_script import (
    BatteryEvent,
    Discharge,
    Drift,
    LeadOffEvent,
    LoseContact,
    MistreatEvent,
    Radio,
    Script,
)
from firmware_bridge.control import Config, Identify, MeasureImpedance, Ping, Result, Start
from firmware_bridge.gatt import BATTERY_LEVEL, STATUS, decode_status
from firmware_bridge.packet import Codec, Flags, Packet
from firmware_bridge.rig import virtual_bands
from firmware_bridge.virtual_peripheral import Peripheral
from tests.firmware_bridge.host import connected, stream
from tests.firmware_bridge.sources import ArraySource, noise_uv

CONFIG = Config(Codec.RAW16, frozenset({Codec.RAW16, Codec.PACK12}), 2000)


def with_host(use, samples=0, **rig_options):
    """Run `use(rig, host)` with the least host of a left band."""

    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(samples)), sides=("left",), **rig_options) as rig,
            connected(rig, "left") as host,
        ):
            return await use(rig, host)

    return asyncio.run(run())


def packet(sequence):
    counts = np.full((2, 16), sequence, np.int16)
    return Packet(Codec.RAW16, Flags.NONE, sequence, 2 * sequence, 1, counts)


def test_packets_without_room_are_dropped_counted_and_told(monkeypatch):
    queued = iter([0, 32, 31, 0])
    monkeypatch.setattr(Peripheral, "queued", property(lambda _: next(queued, 0)))

    async def use(rig, host):
        await host.ask(CONFIG)
        await host.ask(Start())
        for sequence in range(4):
            await rig.bands["left"].send(packet(sequence))
        status = decode_status(bytes(await host.client.read_gatt_char(STATUS)))
        return [(p.sequence, p.flags) for _, p in host.packets if len(p.counts)], status

    sent, status = with_host(use)
    assert sent == [(0, Flags.NONE), (2, Flags.OVERFLOW), (3, Flags.NONE)]
    assert (status.overflows, status.codec) == (1, Codec.RAW16.value)


@pytest.mark.parametrize(("apart_s", "steps"), [(0.0, True), (5.0, True), (10.1, False)])
def test_two_overflows_within_ten_seconds_step_down_and_are_told(monkeypatch, apart_s, steps):
    monkeypatch.setattr(Peripheral, "queued", property(lambda _: 32))

    async def use(rig, host):
        told = []
        await host.ask(CONFIG)
        await host.client.start_notify(STATUS, lambda _, data: told.append(decode_status(bytes(data)).codec))
        await host.ask(Start())
        for sequence in range(2):
            await rig.bands["left"].send(packet(sequence))
            rig.clock.move_to(rig.clock.tick() + apart_s * 2000)
        await host.ask(Ping())  # after it, notifications have come
        return told

    assert with_host(use) == ([Codec.PACK12.value] if steps else [])


def test_a_ping_tells_the_sample_of_now():
    """Without a stream too, and at the pace of the band's own crystal."""

    async def use(rig, host):
        answers = [(await host.ask(Ping()))[1]]
        rig.clock.move_to(4001.5)
        answers.append((await host.ask(Ping()))[1])
        return [(answer.boot, answer.sample_index) for answer in answers]

    assert with_host(use) == [(1, 0), (1, 4001)]

    async def drifted(rig, host):
        await rig.bands["left"].apply(Drift(1000))
        rig.clock.move_to(4000.0)
        return (await host.ask(Ping()))[1].sample_index

    assert with_host(drifted) == 4004


def test_impedance_shows_which_electrodes_are_off_and_is_not_measured_while_streaming():
    async def use(rig, host):
        await rig.bands["left"].apply(LoseContact(frozenset({3})))
        _, impedances = await host.ask(MeasureImpedance())
        await host.ask(CONFIG)
        await host.ask(Start())
        return impedances.kohm, (await host.ask(MeasureImpedance()))[0]

    kohm, while_streaming = with_host(use)
    assert kohm == (*[50.0] * 3, float("inf"), *[50.0] * 12)
    assert while_streaming is Result.NOT_NOW


def test_identifying_blinks():
    async def use(rig, host):
        result, _ = await host.ask(Identify(7))
        return result, rig.bands["left"].identified_s

    assert with_host(use) == (Result.OK, 7)


def test_lead_off_is_told_shown_and_over():
    async def use(_, host):
        told = []
        await host.client.start_notify(
            STATUS, lambda _, data: told.append(decode_status(bytes(data)).lead_off)
        )
        await host.ask(CONFIG)
        await host.ask(Start())
        await host.gone.wait()
        counts = np.concatenate([p.counts for _, p in host.packets])
        return [lead_off for lead_off, _ in itertools.groupby(told)], counts

    script = Script(events=[LeadOffEvent(at_s=0.5, electrodes=(0, 15), for_s=0.5)])
    told, counts = with_host(use, samples=3000, script=script)
    assert told == [1 | 1 << 15, 0]
    railed = (counts == 32767).all(axis=0), (counts == 32767)[1000:2000].all(axis=0)
    assert not railed[0].any()
    assert railed[1].tolist() == [True, *[False] * 14, True]


def test_the_battery_is_told_as_it_falls():
    async def use(_, host):
        told = []
        await host.client.start_notify(BATTERY_LEVEL, lambda _, data: told.append(data[0]))
        await host.ask(CONFIG)
        await host.ask(Start())
        await host.gone.wait()
        return told

    script = Script(events=[BatteryEvent(at_s=0, percent=50, drain_percent_per_min=120)])
    told = with_host(use, samples=3200, script=script)
    assert told == [
        50,
        49,
        48,
        47,
        46,
    ]  # 2 % a second, whole ones


def test_a_battery_is_never_below_empty():
    async def use(rig, host):
        await rig.bands["left"].apply(Discharge(1, 60))
        rig.clock.move_to(1e6)
        return (await host.client.read_gatt_char(BATTERY_LEVEL))[0]

    assert with_host(use) == 0


@pytest.mark.parametrize("kind", ["loss", "duplicate", "corrupt"])
def test_packets_are_mistreated_at_their_percentage_and_only_then(kind, monkeypatch):
    damaged = []
    monkeypatch.setattr("tests.firmware_bridge.host.decode", lambda data: lenient(data, damaged))
    script = Script(events=[MistreatEvent(at_s=1, what=kind, percent=30, for_s=2)])

    async def run():
        async with virtual_bands(ArraySource(noise_uv(8000)), sides=("left",), script=script) as rig:
            return await stream(rig, "left", Codec.PACK12)

    packets, _ = asyncio.run(run())
    sequences = [p.sequence for _, p in packets]
    made = range(sequences[-1] + 1)
    struck = {
        "loss": set(made) - set(sequences),
        "duplicate": {one for one, other in itertools.pairwise(sequences) if one == other},
        "corrupt": set(damaged),
    }
    assert not any(found for other, found in struck.items() if other != kind)
    assert 0.15 < len(struck[kind]) / (4000 / 19) < 0.45
    assert all(105 <= sequence <= 315 for sequence in struck[kind])  # 2000 to 6000, 19 samples each


def lenient(data, damaged):
    """Decode, also what is damaged, and note it."""
    from firmware_bridge.errors import BadPacket
    from firmware_bridge.packet import decode

    try:
        return decode(data)
    except BadPacket:
        mended = decode(data[:-1] + bytes([data[-1] ^ 1]))
        damaged.append(mended.sequence)
        return mended


def test_a_slow_interval_is_told():
    async def use(rig, host):
        await rig.bands["left"].apply(Radio(45, 2, 0))
        return decode_status(bytes(await host.client.read_gatt_char(STATUS))).interval_ms

    assert with_host(use) == 45


def test_a_host_that_was_away_at_the_end_is_told_it_when_it_is_back():
    async def run():
        async with virtual_bands(ArraySource(noise_uv(4000)), sides=("left",), hold_s=0.05) as rig:
            band = rig.bands["left"]
            async with connected(rig, "left") as host:
                await host.ask(Start())
                while not host.packets:  # noqa: ASYNC110  (a list has no event)
                    await asyncio.sleep(0)
                await band._peripheral.vanish()
            while not band.exhausted:  # noqa: ASYNC110  (nor has this)
                await asyncio.sleep(0.01)
            await band._peripheral.appear()
            packets, starts = await asyncio.wait_for(stream(rig, "left", Codec.RAW16), 5)
            return packets, starts

    packets, (started,) = asyncio.run(run())
    assert [(packet.flags, packet.first_index, len(packet.counts)) for _, packet in packets] == [
        (Flags.END, 4000, 0)
    ]
    assert started.first_index == 4000
