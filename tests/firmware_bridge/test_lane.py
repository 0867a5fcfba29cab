"""What a link brings is taken, or counted by its kind; what a band does wrong is named."""

from __future__ import annotations

import asyncio
import binascii
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import SourceLost
from firmware_bridge.align import Aligner, worn
from firmware_bridge.control import Started
from firmware_bridge.gatt import Status
from firmware_bridge.lane import LaneReader
from firmware_bridge.link import Arrival, LinkState, Pong, StartedAt
from firmware_bridge.packet import Codec, Flags, Packet, encode
from firmware_bridge.scan import FoundBand

PER_PACKET = 19
_CRC_AT = 10  # docs/formats/packet.md


class Link:
    """What a BandLink shows its reader."""

    def __init__(self, band):
        self.band = band
        self.state = LinkState.STREAMING
        self.status = Status(1, "left", 3, 2, 2000, 247, 5, 12, 0b1000_0000_0000_0101, 9, 2, True)
        self.battery_percent = 71
        self.queue_overflows = 0
        self.start_answer = None
        self.arrivals, self.pongs = [], []

    async def start(self):
        self.start_answer = StartedAt(Started(3, 0, 0), 0.0, 0.01)

    def take(self):
        taken, self.arrivals = self.arrivals, []
        return taken

    def take_pongs(self):
        taken, self.pongs = self.pongs, []
        return taken


class Supervised:
    """What a Supervisor shows its reader."""

    def __init__(self):
        self.band = FoundBand("left", "C0:51:57:00:00:01", "Qwrist1L", 1, -50, None)
        self.link = Link(self.band)
        self.reconnects = 0


class Bench:
    """A reader, and what goes into it."""

    def __init__(self):
        self.supervised = Supervised()
        self.reader = LaneReader(self.supervised)
        self.aligner = Aligner(("left",))
        self.state = self.aligner.initial_state()
        asyncio.run(self.reader.start(lambda *_: None))

    def read(self, *values):
        self.supervised.link.arrivals += [Arrival(value, 0.02 * i) for i, value in enumerate(values)]
        self.state = self.reader.read(self.state, self.aligner)
        return self.reader.stats(self.state, self.aligner.clock)


def value(sequence, **changed):
    packet = Packet(
        Codec.PACK12, Flags.NONE, sequence, PER_PACKET * sequence, 3, np.zeros((PER_PACKET, 16), np.int16)
    )
    return encode(packet._replace(**changed))


def with_crc(data):
    crc = binascii.crc_hqx(data[:_CRC_AT] + data[_CRC_AT + 2 :], 0xFFFF)
    return data[:_CRC_AT] + struct.pack("<H", crc) + data[_CRC_AT + 2 :]


def patched(sequence, at, byte):
    data = bytearray(value(sequence))
    data[at] = byte
    return with_crc(bytes(data))


BAD = {
    "version": patched(1, 0, 0x21),
    "CRC": value(1)[:-1] + b"\x01",
    "codec": patched(1, 0, 0x1F),
    "length": with_crc(value(1) + b"\x00"),
    "count": patched(1, 1, Flags.END),
}


def test_the_crc_of_these_tests_is_that_of_packets():
    assert with_crc(value(1)) == value(1)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_packet_is_counted_by_its_kind_and_costs_itself_alone(kind):
    stats = Bench().read(value(0), BAD[kind], value(2))
    assert stats.refusals == ((kind, 1),)
    assert (stats.refused, stats.packets, stats.lost) == (1, 2, 1)
    assert (stats.received_samples, stats.missing_samples) == (2 * PER_PACKET, PER_PACKET)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "length"),
        (b"\x11", "length"),
        (value(1)[:-1], "CRC"),
        (patched(1, 8, 255), "length"),  # 255 samples
        (patched(1, 8, 0), "length"),
        (value(1, first_index=3), "malformed"),
    ],
)
def test_absurd_packets_too(data, kind):
    stats = Bench().read(value(0), data, value(2))
    assert stats.refusals == ((kind, 1),)
    assert stats.received_samples + stats.missing_samples == 3 * PER_PACKET


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_no_bytes_are_lost_without_a_count(noise):
    stats = Bench().read(value(0), *noise, value(1))
    assert stats.refused == sum(count for _, count in stats.refusals) == len(noise)
    assert stats.received_samples == 2 * PER_PACKET


def test_kinds_are_told_apart_the_most_frequent_first():
    stats = Bench().read(value(0), BAD["version"], BAD["CRC"], BAD["CRC"], b"")
    assert stats.refusals == (("CRC", 2), ("version", 1), ("length", 1))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("version", "a packet of protocol 2; this version of qwrist speaks 1, the last of 3"),
        ("CRC", "a packet's CRC is wrong: it was damaged on the way, the last of 3"),
        ("codec", "a packet of unknown codec 15, the last of 3"),
    ],
)
def test_a_band_of_which_nothing_can_be_used_is_lost_and_the_kind_is_named(kind, says):
    bench = Bench()
    bench.read(value(0))
    bench.reader.watch(0.1)
    bench.read(BAD[kind], BAD[kind], BAD[kind])
    bench.reader.watch(0.45)
    with pytest.raises(SourceLost) as lost:
        bench.reader.watch(0.06)
    assert f"the left band has sent nothing that can be used ({says}) for 500 ms" in str(lost.value)


def test_whoever_sends_is_not_lost():
    bench = Bench()
    for sequence in range(20):
        bench.read(value(sequence))
        bench.reader.watch(0.4)


def test_a_link_that_is_gone_is_named():
    bench = Bench()
    bench.supervised.link.state = LinkState.LOST
    with pytest.raises(SourceLost, match="the left band disconnected"):
        bench.reader.watch(0.0)


def test_another_boot_amid_a_connection_is_a_lost_band():
    with pytest.raises(SourceLost, match="restarted"):
        Bench().read(value(0), value(1, boot=4))


def linked_again(index, *, at_s, boot=3, pongs=()):
    """A reader of 3 s of packets, linked again: START says `index` at `at_s`."""
    bench = Bench()
    bench.supervised.link.arrivals = [
        Arrival(value(i), (i + 1) * PER_PACKET / 2000 + 0.005) for i in range(6000 // PER_PACKET)
    ]
    bench.read()
    bench.supervised.link = Link(bench.supervised.band)
    bench.supervised.link.start_answer = StartedAt(Started(boot, 400, index), at_s - 0.02, at_s)
    bench.supervised.link.pongs = list(pongs)
    bench.state = bench.reader.resume(bench.state, bench.aligner)
    return bench


def test_a_band_that_has_counted_on_goes_on_exactly():
    bench = linked_again(20_000, at_s=10.0)
    assert bench.reader.stats(bench.state, bench.aligner.clock).missing_samples == 20_000 - 5985
    assert worn(bench.state, 0).restart is None


@pytest.mark.parametrize("index", [2**31, 620_000])
def test_a_band_that_has_counted_more_than_time_has_passed_goes_on_by_the_hosts_clock(index):
    """This machine, and its clock, were asleep, or the band has leapt: hours of nothing are not made up."""
    bench = linked_again(index, at_s=10.0)
    bench.supervised.link.arrivals = [
        Arrival(
            value(400 + i, first_index=index + i * PER_PACKET), 10.0 + (i + 1) * PER_PACKET / 2000 + 0.005
        )
        for i in range(3000 // PER_PACKET)
    ]
    bench.read()
    (start,) = begun(bench)
    assert start.reason == "restarted"
    assert start.missing == pytest.approx(7 * 2000 + 15, abs=60)  # from 5985 at 3 s to START at 10 s
    assert start.missing + start.uncertain == index - 5985
    stats = bench.read()
    assert stats.received_samples == 5985 + 3000 // PER_PACKET * PER_PACKET
    assert stats.missing_samples == start.missing


def begun(bench):
    """The segments that a reader's samples have begun."""
    starts = []
    while (pulled := bench.aligner.pull(bench.state))[1] is not None:
        bench.state, chunk = pulled
        starts += chunk.segments
    return starts


def test_pings_before_the_index_wraps_tell_the_same_clock_as_a_start_after_it():
    bench = linked_again(5, at_s=10.0, pongs=[Pong(2**32 - 35, 9.96, 9.98)])
    assert bench.aligner.clock.host_s(worn(bench.state, 0).clock, 5) == pytest.approx(10.0, abs=0.03)


@pytest.mark.parametrize(("index", "boot"), [(6_500, 3), (100, 3), (100, 4), (20_000, 4)])
def test_a_band_that_has_not_counted_on_has_restarted(index, boot):
    """Whatever number its boot has: the gap is left to the host's clock."""
    bench = linked_again(index, at_s=10.0, boot=boot)
    assert worn(bench.state, 0).restart is not None
    assert bench.reader.stream.missing == 0


def test_the_counters_say_what_the_band_says_of_itself():
    stats = Bench().read(value(0), value(1))
    assert (stats.side, stats.address) == ("left", "C0:51:57:00:00:01")
    assert (stats.mtu, stats.phy, stats.interval_ms) == (247, 2, 15.0)
    assert (stats.battery_percent, stats.lead_off, stats.band_overflows) == (71, (0, 2, 15), 5)
    assert (stats.packets, stats.payload_bytes) == (2, 2 * len(value(0)))
    assert stats.codec is Codec.RICE12  # though these packets came as pack12
    assert stats.jitter_p50_ms is stats.jitter_p99_ms is None  # not before a second of packets


def test_jitter_is_how_late_packets_are_against_the_clock():
    """One in twenty is 8 ms late, which is before the next: that shows in the last percents alone."""
    bench = Bench()
    bench.supervised.link.arrivals = [
        Arrival(value(i), (i + 1) * PER_PACKET / 2000 + (0.008 if i % 20 == 0 else 0.0)) for i in range(500)
    ]
    stats = bench.read()
    assert stats.jitter_p50_ms == pytest.approx(0.0, abs=0.1)
    assert stats.jitter_p99_ms == pytest.approx(8.0, abs=0.1)
