"""From a band's sample index to this machine's clock.

A packet arrives late by the radio's delay, never early, so the minimum over a second of (arrival - index /
rate) drops all delay that is sometimes absent: queues, repeats, and the wait for a connection event as far as
it varies within the second. A line through the last minute's minima follows the band's crystal.

Two things remain. The shortest delay of the link is a constant. The least wait for a connection event is
not: it lies anywhere below the common measure of packet and connection interval, differs between the bands
and moves as crystals drift. With packets of `packetizer.packet_samples` it is below 0.5 ms at nearly every
interval and bands agree to 1.5 ms; with 20 samples it is up to 5 ms at an interval of 15 ms, 10 ms at 30. A
busy radio adds to it: with the delays of a recorded Myo armband the error varies by up to 6 ms in a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.samples import RATE_HZ

_MAX_SKEW: Final = 200e-6  # two crystals of +-100 ppm
_SKEW_NEEDS_S: Final = 20.0  # below it, 1 ms of jitter would read as more than 50 ppm

_RECENT: Final = 5  # minima: their median lags 2.5 s, at 200 ppm 0.5 ms


class Minimum(NamedTuple):
    """The least delayed packet of a second."""

    device_s: float  # index / rate
    offset_s: float  # arrival - device_s


class Line(NamedTuple):
    """Host seconds = device seconds * (1 + skew) + offset."""

    offset_s: float
    skew: float


class ClockState(NamedTuple):
    """The last minute's minima, the second that is still open, and the line through them."""

    minima: tuple[Minimum, ...] = ()
    current: Minimum | None = None
    second: int = 0  # which device second `current` belongs to
    line: Line = Line(0.0, 0.0)

    @property
    def known(self) -> bool:
        """Whether a packet has been seen."""
        return self.current is not None

    @property
    def settled(self) -> bool:
        """Whether a whole second has been seen."""
        return bool(self.minima)


@dataclass(frozen=True)
class BandClock:
    """The fit; `step` is pure."""

    rate_hz: float = RATE_HZ
    window: int = 60  # minima, one a second: crystals drift with temperature over minutes

    def step(self, state: ClockState, index: int, arrival_s: float) -> ClockState:
        """Take the arrival of the packet whose last sample is `index` - 1."""
        device_s = index / self.rate_hz
        seen = Minimum(device_s, arrival_s - device_s)
        second = int(device_s)
        if state.current is None:
            return state._replace(current=seen, second=second, line=Line(seen.offset_s, 0.0))
        if second == state.second:
            if seen.offset_s >= state.current.offset_s:
                return state
            line = state.line if state.minima else Line(seen.offset_s, 0.0)
            return state._replace(current=seen, line=line)
        minima = (*state.minima, state.current)[-self.window :]
        return ClockState(minima, seen, second, _fit(minima))

    def host_s(self, state: ClockState, index: float) -> float:
        """When sample `index` was taken, in host seconds, later by the link's shortest delay."""
        device_s = index / self.rate_hz
        return device_s + (state.line.offset_s + state.line.skew * device_s)


def _fit(minima: tuple[Minimum, ...]) -> Line:
    """Theil-Sen: the median slope of all pairs, then the median intercept. A stalled second moves neither.

    While the time is too short for a slope, the last seconds alone: older ones have drifted.
    """
    device_s, offset_s = np.array(minima).T
    if device_s[-1] - device_s[0] < _SKEW_NEEDS_S:
        return Line(float(np.median(offset_s[-_RECENT:])), 0.0)
    i, j = np.triu_indices(len(minima), 1)
    slope = float(np.median((offset_s[j] - offset_s[i]) / (device_s[j] - device_s[i])))
    skew = float(np.clip(slope, -_MAX_SKEW, _MAX_SKEW))
    return Line(float(np.median(offset_s - skew * device_s)), skew)
