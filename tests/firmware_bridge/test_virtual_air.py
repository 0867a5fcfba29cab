"""Connection events carry what they can, in order; errors delay and never lose."""

from __future__ import annotations

import asyncio

import pytest
from bumble import hci
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.band_script import Radio
from firmware_bridge.virtual_air import Pacer, VirtualAir

sizes = st.lists(st.integers(1, 516), max_size=30)


def packets(sizes):
    return [hci.HCI_AclDataPacket(1, 0, 0, size, bytes(size)) for size in sizes]


def pdus(size: int) -> int:
    """251 bytes each: Bluetooth Core 5.4, Vol 6, Part B, 4.5.10."""
    return -(-size // 251)


def run_out(pacer, waiting):
    """What each event carries, until nothing waits."""
    for packet in waiting:
        pacer.put(packet)
    events = []
    while pacer.waiting:
        events.append(pacer.event())
    return events


@settings(deadline=None)  # this machine may be busy
@given(sizes, st.integers(1, 6))
def test_an_event_carries_its_pdus_in_order(sizes, per_event):
    waiting = packets(sizes)
    events = run_out(Pacer(Radio(15, per_event, 0), "seed"), waiting)
    assert [packet for event in events for packet in event] == waiting
    total = sum(map(pdus, sizes))
    assert len(events) == -(-total // per_event)
    left = 0
    for number, event in enumerate(events, 1):
        left += sum(pdus(len(packet.data)) for packet in event)
        assert left <= min(number * per_event, total) <= left + 2  # of a packet two PDUs may be on the way


@settings(deadline=None)  # this machine may be busy
@given(sizes, st.integers(1, 6), st.floats(1, 90), st.text(max_size=3))
def test_errors_delay_and_lose_nothing(sizes, per_event, error_percent, seed):
    waiting = packets(sizes)
    radio = Radio(15, per_event, error_percent)
    events = run_out(Pacer(radio, seed), waiting)
    assert [packet for event in events for packet in event] == waiting
    assert len(events) >= len(run_out(Pacer(radio._replace(error_percent=0), seed), waiting))
    assert [len(event) for event in events] == [len(event) for event in run_out(Pacer(radio, seed), waiting)]


def test_errors_cost_as_many_events_as_they_are():
    events = run_out(Pacer(Radio(15, 1, 75), "seed"), packets([20] * 1000))
    assert len(events) == pytest.approx(4000, rel=0.15)  # a quarter of the events carries one


@settings(deadline=None)  # this machine may be busy
@given(st.floats(0, 1e7), st.floats(7.5, 4000), st.text(max_size=3))
def test_events_come_an_interval_apart(tick, interval_ms, seed):
    pacer = Pacer(Radio(interval_ms, 1, 0), seed)
    interval_ticks = 2 * interval_ms
    first = pacer.next_event(tick)
    assert tick < first <= tick + interval_ticks + 1e-6
    assert pacer.next_event(first + interval_ms) == pytest.approx(first + interval_ticks, abs=1e-6)


def test_the_air_is_quiet_once_all_has_landed():
    async def run():
        air = VirtualAir()
        await air.quiet()
        air.depart()
        air.depart()
        waiting = asyncio.create_task(air.quiet())
        air.land()
        await asyncio.sleep(0)
        assert not waiting.done()
        air.land()
        await waiting

    asyncio.run(run())
