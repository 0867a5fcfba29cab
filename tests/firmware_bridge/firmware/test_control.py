"""The C's control point, status and overflows against a model in Python, through any course of events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import ELECTRODES
from firmware_bridge.control import Opcode, Result
from firmware_bridge.packet import Codec, Flags, decode
from tests.firmware_bridge.firmware.model import Model
from tests.firmware_bridge.firmware.test_packer import config, start
from tests.mcu.banding import Answer, Link, Traits, boot, connect, disconnect, microvolts

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
traits = st.builds(Traits, st.integers(0, 1), u8, st.integers(1, 7), st.booleans(), st.booleans())
links = st.builds(Link, st.integers(1, 3), st.sampled_from([23, 39, 47, 185, 247, 517]), u16)
configs = st.tuples(
    u8, st.one_of(st.integers(0, 4), u8), st.one_of(st.integers(0, 7), u8), st.booleans()
).map(lambda c: bytes([3, *c[:3]]) + (2000 if c[3] else 1000).to_bytes(2, "little"))
requests = st.one_of(
    st.builds(lambda opcode, number: bytes([opcode, number]), st.integers(1, 5), u8),
    configs,
    st.builds(lambda number, seconds: bytes([6, number, seconds]), u8, u8),
    st.builds(lambda opcode, rest: bytes([opcode, *rest]), st.integers(0, 8), st.binary(max_size=9)),
    st.binary(max_size=9),
)
EVENTS = st.one_of(
    st.tuples(st.just("control"), requests, u32),
    st.tuples(st.just("control"), st.sampled_from([b"\x01\x02", config(Codec.RAW16)]), st.just(0)),
    st.tuples(st.just("push"), st.integers(1, 40), u16),
    st.tuples(st.just("skip"), st.sampled_from([0, 1, 5, 19_990, 20_000, 2**31])),
    st.tuples(st.just("overflow")),
    st.tuples(st.just("status")),
    st.tuples(st.just("connect"), links),
    st.tuples(st.just("disconnect")),
    st.tuples(st.just("lead_off"), st.sampled_from([0, 1, 0x8000])),
    st.tuples(st.just("impedances"), st.lists(u16, min_size=ELECTRODES, max_size=ELECTRODES)),
)


def noise(samples, seed):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(0, 4.0 ** rng.integers(0, 7), (samples, ELECTRODES)).clip(-32768, 32767).astype(np.int16)
    )


def happen(band, model, event):
    """One event to both; what each answers."""
    match event:
        case "control", request, waiting:
            return band.control(request, waiting), model.control(request, waiting)
        case "push", samples, seed:
            return band.push(noise(samples, seed)), model.push(noise(samples, seed))
        case "skip", count:
            return band.skip(count), model.skip(count)
        case "connect", link:
            return band.tell(connect(link)), model.connect(link)
        case ("disconnect",):
            return band.tell(disconnect()), model.disconnect()
        case ("overflow",):
            return band.overflow(), model.overflow()
        case ("status",):
            return band.status(), model.status()
        case "lead_off", bitmap:
            return band.lead_off(bitmap), model.tell_lead_off(bitmap)
        case "impedances", steps:
            return band.impedances(steps), model.impedances(steps)
    raise ValueError(event)


@settings(max_examples=300)
@given(traits, st.lists(EVENTS, max_size=25))
def test_any_course_of_events_ends_as_in_the_model(band, traits, events):
    band.tell(boot(traits))
    model = Model(traits, microvolts)
    for event in [("connect", Link()), *events, ("status",)]:
        found, expected = happen(band, model, event)
        assert found == expected, event


def test_the_second_overflow_within_ten_seconds_steps_down(band):
    start(band, Codec.RAW16, 247, accepted={Codec.RAW16, Codec.RICE12})
    band.status()
    sample = np.zeros((40, ELECTRODES), np.int16)
    course = [(0, Codec.RAW16), (20_001, Codec.RAW16), (20_000, Codec.RICE12), (100, Codec.RICE12)]
    for since, codec in course:
        band.skip(max(0, since - 41))
        band.overflow()
        told = [decode(packet) for packet in band.push(sample) + band.skip(1)]
        assert {packet.codec for packet in told} == {codec}
        assert [bool(packet.flags & Flags.OVERFLOW) for packet in told] == [True] + [False] * (len(told) - 1)
        changed, status = band.status()
        assert status[20] == codec.value
        assert changed == (since == 20_000)


def test_a_new_configuration_forgets_overflows(band):
    start(band, Codec.RAW16, 247)
    band.overflow()
    band.control(b"\x02\x03")
    band.control(config(Codec.RAW16))
    band.control(b"\x01\x02")
    band.overflow()
    assert band.status()[1][20] == Codec.RAW16.value


@pytest.mark.parametrize(
    "request_", [b"\x01\x02\x00", b"\x06\x01", b"\x06\x01\x02\x03", config(Codec.RAW16) + b"\0"]
)
def test_a_request_of_another_length_is_refused(band, request_):
    band.tell(boot(Traits()) + connect(Link()))
    answer = band.control(request_)
    assert answer == Answer(0, 0, bytes([request_[0] | 0x80, request_[1], Result.BAD_ARGUMENT]))


def test_changes_of_status_add_up(band):
    start(band, Codec.RAW16, 247)
    band.status()
    band.lead_off(5)
    band.lead_off(5)
    assert [band.status()[0], band.status()[0]] == [True, False]


def test_numbering_runs_on_over_stop_and_reconnection(band):
    assert start(band, Codec.PACK12, 247) == bytes([0x81, 2, 0, 7, 0, 0, 0, 0, 0, 0])
    ten = np.zeros((10, ELECTRODES), np.int16)
    assert len(band.push(ten)) == 1  # of seven samples; three wait and are given up
    band.control(b"\x02\x03")
    assert band.push(ten) == []
    band.tell(disconnect())
    assert band.push(ten) == []
    band.tell(connect(Link(mtu=247)))
    assert band.control(b"\x01\x09").data == bytes([0x81, 9, 0, 7, 1, 0, 30, 0, 0, 0])
    packet = decode(band.push(ten)[0])
    assert (packet.sequence, packet.first_index) == (1, 30)


def test_an_impedance_is_answered_when_it_is_measured(band):
    band.tell(boot(Traits()) + connect(Link()))
    assert band.control(b"\x05\x0a") == Answer(2, 0, b"")
    for refused in (b"\x01\x0b", config(Codec.RAW16, number=11), b"\x05\x0b"):
        assert band.control(refused).data == bytes([refused[0] | 0x80, 11, Result.NOT_NOW])
    answer = band.impedances([1, 2, *[0xFFFF] * 14])
    assert answer.data == b"\x85\x0a\x00\x01\x00\x02\x00" + b"\xff" * 28
    assert band.impedances([0] * 16) == Answer(0, 0, b"")


@pytest.mark.parametrize("opcode", [Opcode.IMPEDANCE, Opcode.IDENTIFY])
def test_what_a_band_cannot_do_is_unsupported(band, opcode):
    band.tell(boot(Traits(measures_impedance=False, identifies=False)))
    assert band.control(bytes([opcode, 1])).data == bytes([opcode | 0x80, 1, Result.UNSUPPORTED])


def test_a_ping_counts_the_samples_that_wait(band):
    start(band, Codec.RAW16, 517)
    band.push(np.zeros((100, ELECTRODES), np.int16))
    assert band.control(b"\x04\x01", waiting=3).data == bytes([0x84, 1, 0, 7, 103, 0, 0, 0])
