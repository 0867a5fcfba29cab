"""Hours of a band's packets and pings, with the delays of three radios and when samples were really taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from edge.samples import Float64
from firmware_bridge.clock import BandClock, ClockState

RATE_HZ = 2000
START_S = 5.0
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "link" / "myo_arrival_times.npz"
_BLOCK_S = 5.0  # of a recording at a time: delays hang together for about a second
_NOTIFICATION_S = 0.01  # of the Myo armband: two samples at 200 Hz
_WANDER_PPM = 10.0


class Delays(Protocol):
    """One way of one link."""

    def __call__(self, due_s: Float64) -> Float64:
        """When what is ready at `due_s` (rising) is there, in its order."""
        ...


Radio = Callable[[np.random.Generator], Delays]


def uniform(width_s: float = 0.05) -> Radio:
    """Each packet late by up to `width_s`, whatever the one before."""

    def radio(rng: np.random.Generator) -> Delays:
        return lambda due_s: np.maximum.accumulate(due_s + rng.uniform(0, width_s, len(due_s)))

    return radio


def events(interval_s: float) -> Radio:
    """Connection events on a crystal of their own; 5 % repeat, 1 % wait 80 ms more, 1.5 ms is the least."""

    def radio(rng: np.random.Generator) -> Delays:
        every_s = interval_s * (1 + rng.uniform(-40, 40) * 1e-6)
        phase_s = rng.uniform(0, every_s)

        def delays(due_s: Float64) -> Float64:
            n = len(due_s)
            event = np.ceil((due_s - phase_s) / every_s) + rng.geometric(0.95, n) - 1
            late_s = 0.0015 + rng.exponential(0.0003, n) + (rng.random(n) < 0.01) * rng.exponential(0.08, n)
            return np.maximum.accumulate(phase_s + event * every_s + late_s)

        return delays

    return radio


def recorded() -> Radio:
    """Delays of a Myo armband, in blocks of 5 s from recordings that lost nothing.

    A recording's delay is what its arrivals exceed the highest line below all of them by: its shortest delay,
    which nobody knows, counts as none. Both ways are drawn alike.
    """
    with np.load(REAL) as traces:
        kept = [_lateness_s(traces[k]) for k in traces.files if k.endswith("_t") and len(traces[k]) > 5900]
    per_block = int(_BLOCK_S / _NOTIFICATION_S)

    def radio(rng: np.random.Generator) -> Delays:
        def delays(due_s: Float64) -> Float64:
            place = ((due_s - due_s[0]) / _NOTIFICATION_S).astype(int)
            blocks = []
            for _ in range(place[-1] // per_block + 1):
                trace = kept[rng.integers(len(kept))]
                start = rng.integers(len(trace) - per_block)
                blocks.append(trace[start : start + per_block])
            return np.maximum.accumulate(due_s + np.concatenate(blocks)[place])

        return delays

    return radio


def _lateness_s(arrivals_s: Float64) -> Float64:
    """(notifications,): above the line that is below all and as high as can be in the middle."""
    since_s = arrivals_s[::2] - arrivals_s[0]
    index = np.arange(len(since_s)) - len(since_s) / 2
    period_s = np.polyfit(index, since_s, 1)[0]
    for width in (1e-4, 1e-5, 1e-6):
        tried = period_s + width * np.linspace(-1, 1, 41)
        least = (since_s - np.multiply.outer(tried, index)).min(1)
        period_s = tried[least.argmax()]
    late_s = since_s - period_s * index
    return late_s - late_s.min()


class Crystal(NamedTuple):
    """`ppm` slow, and up to 10 ppm about it, changing by at most `wander` ppm a minute."""

    ppm: float
    wander: float = 0.0
    phase: float = 0.0

    def host_s(self, device_s: Float64) -> Float64:
        """When a moment of the band's clock really is."""
        true_s = START_S + device_s * (1 + self.ppm * 1e-6)
        if self.wander == 0:
            return true_s
        turn = self.wander / _WANDER_PPM / 60  # radians a second
        swing = np.cos(self.phase) - np.cos(self.phase + turn * device_s)
        return true_s + _WANDER_PPM * 1e-6 / turn * swing


class Traffic(NamedTuple):
    """What arrives in one run of a band, and the pings that it answers."""

    crystal: Crystal
    index: Float64  # (P,) of the sample after each packet's last
    arrival_s: Float64  # (P,)
    pinged: Float64  # (Q,) indices answered
    sent_s: Float64  # (Q,)
    received_s: Float64  # (Q,)


def traffic(
    seconds: float,
    radio: Radio,
    crystal: Crystal,
    rng: np.random.Generator,
    *,
    samples: tuple[int, int] = (19, 19),
    ping_s: float | None = 0.25,
    tightest: int | None = None,
) -> Traffic:
    """A run of a band.

    Args:
        seconds: how long.
        radio: draws one way's delays.
        crystal: the band's.
        rng: all else.
        samples: least and most of a packet.
        ping_s: the mean time between pings, which varies from half to half as much again; None for none.
        tightest: keep so many packets of each second, the least delayed: the others tell the clock nothing.
    """
    index = np.cumsum(rng.integers(samples[0], samples[1] + 1, int(seconds * RATE_HZ / samples[0])))
    index = index[index < seconds * RATE_HZ]
    taken_s = crystal.host_s(index / RATE_HZ)
    link = radio(rng)  # both ways share its events
    arrival_s = link(taken_s)
    if tightest is not None:
        keep = _tightest(index, arrival_s - taken_s, tightest)
        index, arrival_s = index[keep], arrival_s[keep]
    if ping_s is None:
        none = np.zeros(0)
        return Traffic(crystal, index, arrival_s, none, none, none)
    sent_s = START_S + np.cumsum(rng.uniform(0.5, 1.5, int(seconds / ping_s)) * ping_s)
    sent_s = sent_s[sent_s < START_S + seconds - 1]
    handled_s = link(sent_s)
    received_s = link(handled_s)
    clock_s = np.linspace(0, seconds + 2, int(seconds) * 2)
    pinged = np.floor(np.interp(handled_s, crystal.host_s(clock_s), clock_s) * RATE_HZ)
    return Traffic(crystal, index, arrival_s, pinged, sent_s, received_s)


def _tightest(index: Float64, late_s: Float64, count: int) -> Float64:
    """Which packets are among the `count` least delayed of their second."""
    second = index // RATE_HZ
    order = np.lexsort((late_s, second))
    rank = np.arange(len(index)) - np.searchsorted(second, second[order])
    return np.sort(order[rank < count])


def errors_ms(
    clock: BandClock, run: Traffic, seconds: Float64, state: ClockState | None = None
) -> tuple[Float64, ClockState]:
    """By how much the clock is late at these device seconds, each judged by what had arrived before."""
    moments = [
        *((at_s, 0, float(i), 0.0) for i, at_s in zip(run.index, run.arrival_s, strict=True)),
        *(
            (got_s, 1, float(i), s)
            for i, s, got_s in zip(run.pinged, run.sent_s, run.received_s, strict=True)
        ),
    ]
    due = [*seconds.tolist(), np.inf]
    state, errors = state or ClockState(), []
    for at_s, is_ping, index, sent_s in sorted(moments):
        while index / RATE_HZ > due[len(errors)]:
            errors.append(clock.host_s(state, due[len(errors)] * RATE_HZ))
        if is_ping:
            state = clock.ping(state, int(index), sent_s, at_s)
        else:
            state = clock.step(state, int(index), at_s)
    errors += [clock.host_s(state, s * RATE_HZ) for s in seconds[len(errors) :]]
    return (np.array(errors) - run.crystal.host_s(seconds)) * 1e3, state
