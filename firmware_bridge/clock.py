"""From a band's sample index to this machine's clock.

The truth lies between bounds. A packet cannot arrive before its last sample was taken, nor a PING be
answered before it was sent: the first says when a sample was taken at the latest, the second when at the
earliest. Each is loose by the radio's delay of the moment, so only the tightest of each second is kept, for
five minutes, and one skew is sought with which two parallel lines, one above and one below the truth, lie
close to both. The offset is halfway between: what both directions delay alike cancels. Without pings the
upper line alone is used, late by the link's shortest delay. docs/decisions/0008-one-clock.md has figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.samples import RATE_HZ, Float64

_MAX_SKEW: Final = 200e-6  # two crystals of +-100 ppm
_USUAL_SKEW: Final = 30e-6  # two of +-20 ppm: what is believed until the bounds say otherwise
_SEARCH: Final = (200e-6, 10e-6, 0.5e-6)  # widths of the search for the skew, to 7 us in 5 minutes
_GRID: Final = np.linspace(-1, 1, 41)
_GRID.setflags(write=False)
_SETTLED_S: Final = 1.0  # of packets, from which two bands' offset is known to some milliseconds
_LEAST_DELAY_S: Final = 50e-6  # a host's timer: delays that vary less are all alike


class Bound(NamedTuple):
    """What the offset of a device second is at most; `earliest` keeps the negative of what it is at least."""

    device_s: float  # index / rate
    offset_s: float  # host seconds - device seconds


class Bounds(NamedTuple):
    """The tightest of each second, and of the second that is still open."""

    closed: tuple[Bound, ...] = ()
    open: Bound | None = None

    @property
    def all(self) -> tuple[Bound, ...]:
        """Oldest first."""
        return self.closed if self.open is None else (*self.closed, self.open)


_NONE: Final = Bounds()


class Strip(NamedTuple):
    """Host seconds lie between device seconds * (1 + skew) + low_s and the same + high_s."""

    skew: float = 0.0
    low_s: float = -math.inf  # until a ping was answered
    high_s: float = math.inf  # until a packet or an answer arrived

    @property
    def width_s(self) -> float:
        """The shortest delays of both directions together; infinite until both were seen."""
        return self.high_s - self.low_s

    @property
    def offset_s(self) -> float:
        """Halfway; the upper line where there is no lower."""
        return self.high_s if math.isinf(self.low_s) else (self.low_s + self.high_s) / 2


class ClockState(NamedTuple):
    """The bounds of the last minutes and the strip between them. A new boot of the band is a new state."""

    latest: Bounds = _NONE
    earliest: Bounds = _NONE
    strip: Strip = Strip()
    usual_skew: float = 0.0  # before the bounds that are kept
    streaming_s: float = math.inf  # device time of the first packet
    settled: bool = False  # whether a second of packets has been fitted

    @property
    def known(self) -> bool:
        """Whether anything has been received."""
        return self.latest.open is not None


@dataclass(frozen=True)
class BandClock:
    """The fit; `step` and `ping` are pure. It is made anew once a second."""

    rate_hz: float = RATE_HZ
    window_s: int = 300  # longer ones follow a crystal worse whose temperature changes, shorter ones jitter

    def step(self, state: ClockState, index: int, arrival_s: float) -> ClockState:
        """Take the arrival of the packet whose last sample is `index` - 1."""
        device_s = index / self.rate_hz
        state = self._after_break(state, device_s)
        if math.isinf(state.streaming_s):
            state = state._replace(streaming_s=device_s)
        return self._not_after(state, device_s, arrival_s)

    def ping(self, state: ClockState, index: int, sent_s: float, received_s: float) -> ClockState:
        """Take a ping that was answered with sample `index`, the one being taken when it was handled."""
        end_s = (index + 1) / self.rate_hz  # it was handled before the sample was over
        state = self._after_break(state, end_s)
        low_s = max(state.strip.low_s, sent_s - end_s - state.strip.skew * end_s)
        state = state._replace(
            earliest=self._kept(state.earliest, Bound(end_s, end_s - sent_s), -state.strip.skew),
            strip=state.strip._replace(low_s=low_s),
        )
        return self._not_after(state, index / self.rate_hz, received_s)

    def host_s(self, state: ClockState, index: float) -> float:
        """When sample `index` was taken, in host seconds."""
        device_s = index / self.rate_hz
        return device_s + (state.strip.offset_s + state.strip.skew * device_s)

    def _after_break(self, state: ClockState, device_s: float) -> ClockState:
        """After a break as long as the window only its skew and its strip are known, until the next fit."""
        before = state.latest.open
        if before is None or device_s - before.device_s <= self.window_s:
            return state
        return state._replace(latest=_NONE, earliest=_NONE, usual_skew=state.strip.skew)

    def _not_after(self, state: ClockState, device_s: float, host_s: float) -> ClockState:
        bound, before = Bound(device_s, host_s - device_s), state.latest.open
        skew = state.strip.skew
        high_s = min(state.strip.high_s, bound.offset_s - skew * device_s)
        state = state._replace(
            latest=self._kept(state.latest, bound, skew), strip=state.strip._replace(high_s=high_s)
        )
        settles = not state.settled and device_s - state.streaming_s >= _SETTLED_S
        if not settles and (before is None or int(device_s) <= int(before.device_s)):
            return state
        return state._replace(strip=self._fit(state, device_s), settled=state.settled or settles)

    def _kept(self, bounds: Bounds, bound: Bound, skew: float) -> Bounds:
        """With one more bound. A second keeps its tightest; what comes after its second is never that."""
        before = bounds.open
        if before is None:
            return bounds._replace(open=bound)
        if int(bound.device_s) > int(before.device_s):
            return Bounds((*bounds.closed[1 - self.window_s :], before), bound)
        late = int(bound.device_s) < int(before.device_s)
        looser = bound.offset_s - before.offset_s >= skew * (bound.device_s - before.device_s)
        return bounds if late or looser else bounds._replace(open=bound)

    def _fit(self, state: ClockState, now_s: float) -> Strip:
        """The likeliest strip, if delays are exponential above what all of one side have in common.

        That likelihood is concave in the skew: the best of a coarse grid is next to the best of a fine one.
        """
        upper = _side(state.latest, now_s, self.window_s, state.strip.skew)
        lower = _side(state.earliest, now_s, self.window_s, -state.strip.skew)
        skew = state.usual_skew
        for width in _SEARCH:
            tried = np.clip(skew + width * _GRID, -_MAX_SKEW, _MAX_SKEW)
            likelihood = upper.likelihood(tried) + lower.likelihood(-tried)
            likelihood -= np.abs(tried - state.usual_skew) / _USUAL_SKEW
            skew = float(tried[likelihood.argmax()])
        high_s = upper.offset_s(skew)
        if len(lower.device_s):
            return Strip(skew, -lower.offset_s(-skew), high_s)
        return Strip(skew, high_s - state.strip.width_s, high_s)  # what a link delays outlasts its pings


class _Side(NamedTuple):
    """Bounds on one side, from which a line is seen that none of them is below."""

    device_s: Float64  # (N,) from now back
    excess_s: Float64  # (N,) of offset, over `base_s`
    base_s: float
    now_s: float
    delay_s: float  # mean, of the tightest of a second

    def likelihood(self, skews: Float64) -> Float64:
        """The logarithm, (M,), up to a constant, of each skew's highest line."""
        if not len(self.device_s):
            return np.zeros(len(skews))
        heights = (self.excess_s - np.multiply.outer(skews, self.device_s)).min(axis=1)  # (M, N) -> (M,)
        lines: Float64 = heights + skews * self.device_s.mean()  # at the middle
        return lines * (len(self.device_s) / self.delay_s)

    def offset_s(self, skew: float) -> float:
        """The highest line of this skew, at device second 0."""
        heights = self.excess_s - skew * self.device_s
        return float(heights.min()) + self.base_s - skew * self.now_s


def _side(bounds: Bounds, now_s: float, window_s: float, skew: float) -> _Side:
    device_s, offset_s = np.array(bounds.all, dtype=np.float64).reshape(-1, 2).T
    recent = device_s >= now_s - window_s
    device_s, offset_s = device_s[recent] - now_s, offset_s[recent]
    if not len(device_s):
        return _Side(device_s, offset_s, 0.0, now_s, _LEAST_DELAY_S)
    base_s = float(offset_s[0])
    above_s = offset_s - base_s - skew * device_s
    delay_s = float(np.median(above_s - above_s.min())) / math.log(2)  # of an exponential distribution
    return _Side(device_s, offset_s - base_s, base_s, now_s, delay_s + _LEAST_DELAY_S)
