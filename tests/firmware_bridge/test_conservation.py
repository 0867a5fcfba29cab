"""Whatever a radio does: emitted + declared missing == sent, exactly, and samples have the keys' clock.

Generated lives of two bands, without Bluetooth: the real readers, stream, clock and aligner, fed with what
their links would have brought. Each sample carries its boot and index, so that what comes out can be told.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from edge.samples import SIDES
from firmware_bridge.control import Started
from firmware_bridge.link import Arrival, LinkState, Pong, StartedAt
from firmware_bridge.packet import Codec, Flags, Packet, encode
from firmware_bridge.pair import BandPair
from firmware_bridge.pings import next_ping_s
from firmware_bridge.scan import FoundBand
from firmware_bridge.supervise import Life

EVERYDAY, ALL = 150, 5000
PER_PACKET = 31
STEP_S = 0.05  # how often the reader looks; and when it wants to ask which sample it is


class Back(NamedTuple):
    """A new link: the pings before START, START's answer, and how it answers pings until it is gone."""

    pongs: list[Pong]
    answer: StartedAt
    ask: Callable[[float], Event | None]
    interval_s: float


class Event(NamedTuple):
    """What reaches the host, and when."""

    at_s: float
    what: Arrival | Pong | Back | None  # None: the link is gone


class Boot(NamedTuple):
    """One boot of a band: index 0 was at `zero_s` by the host's clock.

    Where that clock slept through a break, the same boot goes on as another one of the same number.
    """

    number: int
    zero_s: float
    rate_hz: float
    first: int  # index at its first START
    delivered: frozenset[int]  # first indices of packets that arrived
    span: int  # samples from `first` to where the host last heard of its numbering

    def taken_s(self, index):
        return self.zero_s + index / self.rate_hz


class BandLife(NamedTuple):
    """All that one band sends."""

    events: list[Event]
    boots: list[Boot]


class Radio:
    """Connection events: a packet leaves at the first one after it is full, some stall."""

    def __init__(self, rng):
        self.rng = rng
        self.interval_s = rng.choice([0.0075, 0.01125, 0.015, 0.03, 0.05])
        self.phase_s = rng.uniform(0, self.interval_s)
        self.stalls = rng.uniform(0, 0.05)

    def next_event(self, at_s):
        return self.phase_s + np.ceil((at_s - self.phase_s) / self.interval_s) * self.interval_s

    def late_s(self):
        stall = self.rng.exponential(0.05) if self.rng.random() < self.stalls else 0.0
        return self.rng.exponential(0.0005) + stall


def live(rng, duration_s) -> BandLife:
    """A band from the host's second 0 on, with breaks, restarts, loss and duplicates."""
    radio = Radio(rng)
    rate_hz = 2000 * (1 + rng.uniform(-1e-4, 1e-4))
    loss, twice = rng.uniform(0, 0.2), rng.uniform(0, 0.05)
    wrap = rng.random() < 0.3
    index = int(rng.integers(2**32 - 8000, 2**32)) if wrap else int(rng.integers(0, 10**6))
    sequence = int(rng.integers(2**16 - 100, 2**16)) if wrap else int(rng.integers(0, 2**16))
    number = int(rng.integers(0, 256))
    zero_s = -index / rate_hz
    at_s, events, boots = 0.0, [], []
    first, delivered = None, set()
    breaks = sorted(rng.uniform(1.2, duration_s - 0.6, size=rng.integers(0, 3)).tolist())
    if len(breaks) == 2 and breaks[1] - breaks[0] < 1.0:
        breaks.pop()
    for wished_s in [*breaks, duration_s]:
        pongs = [ping(radio, zero_s, rate_hz, np.inf, at_s + 0.08 * i).what for i in range(4)]
        asked_s = max(pong.received_s for pong in pongs) + 1e-3
        handled_s = radio.next_event(asked_s)
        index = int(np.ceil((handled_s - zero_s) * rate_hz))
        first, index_at_start = index if first is None else first, index
        answered_s = radio.next_event(handled_s + 1e-4) + radio.late_s()
        until_s = max(wished_s, answered_s + 0.2)
        started = Started(number, sequence & 0xFFFF, index & 0xFFFFFFFF)
        back = len(events)
        events.append(Event(answered_s, None))
        sent, sequence, stop = stream(
            rng, radio, number, index, sequence, zero_s, rate_hz, (answered_s, until_s), loss, twice,
            last=until_s >= duration_s,
        )  # fmt: skip
        delivered |= {event.what[2] for event in sent if len(event.what) == 3}
        events += [Event(event.at_s, Arrival(*event.what[:2])) for event in sent]
        gone_s = max(until_s, *(event.at_s for event in events))
        told_s = radio.interval_s if rng.random() < 0.9 else 0.0  # some bands do not know their interval
        ask = partial(ping, radio, zero_s, rate_hz, gone_s)
        events[back] = Event(answered_s, Back(pongs, StartedAt(started, asked_s, answered_s), ask, told_s))
        if until_s >= duration_s:
            boots.append(Boot(number, zero_s, rate_hz, first, frozenset(delivered), stop - first))
            break
        events.append(Event(gone_s, None))
        at_s = gone_s + rng.uniform(0.05, 0.8)
        happens = rng.choice(["reboot", "sleep", "nothing"], p=[0.4, 0.1, 0.5])
        if happens != "nothing":
            heard = max([index_at_start, *(i + PER_PACKET for i in delivered)])
            boots.append(Boot(number, zero_s, rate_hz, first, frozenset(delivered), heard - first))
            first, delivered = None, set()
        if happens == "reboot":
            number, sequence, zero_s = (number + 1) % 256, 0, at_s - rng.uniform(0.01, 0.04)
        elif happens == "sleep":
            zero_s -= rng.uniform(2, 3600)
    return BandLife(sorted(events, key=lambda event: event.at_s), boots)


def stream(rng, radio, number, index, sequence, zero_s, rate_hz, span_s, loss, twice, *, last):
    """Packets from `index` on while the link stands: (bytes, arrival, first index) of those that arrive."""
    start_s, until_s = span_s
    out, before_s = [], start_s
    while zero_s + (index + PER_PACKET) / rate_hz < until_s:
        wrapped = index & 0xFFFFFFFF
        data = encode(
            Packet(Codec.RAW16, Flags.NONE, sequence & 0xFFFF, wrapped, number, identities(number, wrapped))
        )
        full_s = max(start_s, zero_s + (index + PER_PACKET) / rate_hz)
        before_s = max(before_s, radio.next_event(full_s) + radio.late_s())
        if rng.random() >= loss:
            out.append(Event(before_s, (data, before_s, index)))
            if rng.random() < twice:
                late_s = before_s + rng.choice([0.0, rng.uniform(0, 0.3)])
                out.append(Event(late_s, (data, late_s)))
        index, sequence = index + PER_PACKET, sequence + 1
    if last:
        end = encode(
            Packet(
                Codec.RAW16,
                Flags.END,
                sequence & 0xFFFF,
                index & 0xFFFFFFFF,
                number,
                np.zeros((0, 16), np.int16),
            )
        )
        out.append(Event(before_s + 0.4, (end, before_s + 0.4)))
    return out, sequence, index


def identities(number, first):
    index = (first + np.arange(PER_PACKET)) & 0xFFFFFFFF
    counts = np.zeros((PER_PACKET, 16), np.int16)
    counts[:, 0], counts[:, 1], counts[:, 2], counts[:, 3] = (
        index & 0x7FF,
        index >> 11 & 0x7FF,
        index >> 22,
        number,
    )
    return counts


def ping(radio, zero_s, rate_hz, gone_s, sent_s) -> Event | None:
    """A PING's answer, unless the link is gone before."""
    handled_s = radio.next_event(sent_s) + radio.rng.exponential(0.0005)
    received_s = radio.next_event(handled_s + 1e-4) + radio.late_s()
    if received_s >= gone_s:
        return None
    index = int((handled_s - zero_s) * rate_hz) & 0xFFFFFFFF
    return Event(received_s, Pong(index, sent_s, received_s))


class FakeLink:
    """A link that has brought what the generator says."""

    def __init__(self, supervisor, back: Back):
        self.supervisor, self.ask = supervisor, back.ask
        self.pings, self.interval_s = 0, back.interval_s
        self.ping_due_s = next_ping_s(back.answer.received_s, 0, self.interval_s)
        self.band = supervisor.band
        self.state = LinkState.STREAMING
        self.start_answer, self.pongs = back.answer, list(back.pongs)
        self.status = self.battery_percent = None
        self.queue_overflows = 0
        self.arrivals = []

    def take(self):
        taken, self.arrivals = self.arrivals, []
        return taken

    def take_pongs(self):
        taken, self.pongs = self.pongs, []
        return taken

    def ping_soon(self):
        self.ping_due_s, event = np.inf, self.ask(self.supervisor.now_s)
        if event is not None:
            self.pings += 1
            insort(self.supervisor.events, event, key=lambda event: event.at_s)

    async def start(self):
        pass


class FakeSupervisor:
    """Gives the reader one link after another."""

    resumes = True

    def __init__(self, side, events):
        self.band = FoundBand(side, f"address of {side}", "Qwrist1L", 1, -50, None)
        self.events = events
        self.life = Life.LINKED
        self.reconnects = 0
        self.now_s = 0.0
        self.link = FakeLink(self, self.events.pop(0).what)

    def advance(self, now_s):
        self.now_s = now_s
        while self.events and self.events[0].at_s <= now_s:
            what = self.events.pop(0).what
            match what:
                case Arrival():
                    if self.link is not None:
                        self.link.arrivals.append(what)
                case Pong():
                    if self.link is not None:
                        self.link.pongs.append(what)
                        self.link.ping_due_s = next_ping_s(
                            what.received_s, self.link.pings, self.link.interval_s
                        )
                case Back():
                    self.link, self.life = FakeLink(self, what), Life.LINKED
                case None:
                    self.link.state = LinkState.LOST
                    return

    def recover(self, loss, *, useful):
        self.life, self.link = Life.PAUSING, None


class Outcome(NamedTuple):
    """What a case delivered."""

    chunks: list
    stats: tuple
    lives: list[BandLife]


def run(seed) -> Outcome:
    rng = np.random.default_rng(seed)
    lives = [live(rng, rng.uniform(2.5, 4.0)) for _ in SIDES]
    now_s = 0.0
    supervisors = [FakeSupervisor(side, list(life.events)) for side, life in zip(SIDES, lives, strict=True)]
    pair = BandPair(supervisors, lambda: now_s, asyncio.Event())
    for lane in pair._lanes:
        asyncio.run(lane.start(pair._begin))
    chunks = []
    while not all(lane.stream.ended for lane in pair._lanes):
        due_s = min(lane.ping_due_s for lane in pair._lanes)
        now_s = min(now_s + STEP_S, max(now_s + 1e-3, due_s))
        for supervisor in supervisors:
            supervisor.advance(now_s)
        pair._looked_s = now_s  # silence is another test's
        assert pair._collect() is None
        chunks += pair._ready(flush=False)
        assert now_s < 30
    for lane in pair._lanes:
        pair._state = pair._aligner.end(pair._state, lane.wrist)
    chunks += pair._ready(flush=False)
    return Outcome(chunks, pair.stats(), lives)


def errors_s_of(outcome: Outcome) -> list[np.ndarray]:
    """Check one case; give how wrong the times of its samples are."""
    chunks, stats, lives = outcome
    numbers = [chunk.first_index for chunk in chunks]
    assert numbers == np.cumsum([0, *[len(chunk.time_s) for chunk in chunks]])[:-1].tolist()
    time_s = np.concatenate([chunk.time_s for chunk in chunks])
    assert (np.diff(time_s) > 0).all()
    emg_uv = np.concatenate([chunk.emg_uv for chunk in chunks])
    valid = np.concatenate([chunk.valid for chunk in chunks])
    starts = [start for chunk in chunks for start in chunk.segments]
    errors = []
    for wrist, (link, life) in enumerate(zip(stats, lives, strict=True)):
        here = valid[:, wrist]
        counts = np.rint(emg_uv[here, wrist] / 0.2).astype(np.int64)
        index, number = counts[:, 0] | counts[:, 1] << 11 | counts[:, 2] << 22, counts[:, 3]
        again = np.concatenate([[False], (np.diff(index) == 0) & (np.diff(number) == 0)])
        assert again.sum() == link.repeated_samples
        restarts = [start for start in starts if start.side == SIDES[wrist] and start.reason == "restarted"]
        assert len(restarts) == len(life.boots) - 1
        which = np.searchsorted([start.first_index for start in restarts], np.flatnonzero(here), "right")
        np.testing.assert_array_equal(number, np.array([boot.number for boot in life.boots])[which])
        received = 0
        for nth, boot in enumerate(life.boots):
            of_boot = (which == nth) & ~again
            unwrapped = boot.first + (index[of_boot] - boot.first) % (1 << 32)
            sent = np.sort([first + i for first in boot.delivered for i in range(PER_PACKET)])
            np.testing.assert_array_equal(unwrapped, sent)  # each once, in order, none invented
            received += len(unwrapped)
            errors.append(time_s[here][of_boot] - boot.taken_s(unwrapped))
        assert link.received_samples == received
        for start, before, after in zip(restarts, life.boots, life.boots[1:], strict=False):
            gap = (after.taken_s(after.first) - before.taken_s(before.first + before.span)) * 2000
            assert abs(start.missing - gap) <= start.uncertain
            if after.number == before.number:
                counted = after.first - before.first - before.span
                assert abs(start.missing - counted) <= start.uncertain
        sent = sum(boot.span for boot in life.boots)
        unknown = sum(start.missing for start in restarts)
        assert link.received_samples + link.missing_samples == sent + unknown
        assert all(start.uncertain == 0 for start in starts if start.reason == "reconnected")
    return errors


def check(seeds) -> None:
    errors_ms = 1000 * np.abs(np.concatenate([e for seed in seeds for e in errors_s_of(run(seed))]))
    assert np.percentile(errors_ms, 99) <= 5.0


def test_nothing_is_lost_silently_and_samples_have_the_keys_clock():
    check(range(EVERYDAY))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_silently_in_thousands_of_lives():
    check(range(EVERYDAY, ALL))
