"""Does a band sample at the rate that it says? Measured against the host's clock, stalls aside."""

from __future__ import annotations

from typing import Final, NamedTuple

from edge.samples import RATE_HZ
from firmware_bridge.errors import BandRefused

# Within a window the least delayed packet counts, as in the clock. Links are late by up to 0.1 s at their
# best, a hundredth of a window: what is more is the band's. The next rate in use is 2048 Hz, 2.4 % off.
_WINDOW_S: Final = 10.0
_TOLERANCE: Final = 0.015


class RateState(NamedTuple):
    """The least delay of the window before and of the one that is open, and when they were seen."""

    opened_s: float | None = None  # device seconds
    least: tuple[float, float] | None = None  # (device seconds, arrival - device seconds)
    before: tuple[float, float] | None = None


def check_rate(state: RateState, index: int, arrival_s: float, name: str) -> RateState:
    """Take an arrival. Raises BandRefused where two windows of 10 s say that the rate is another."""
    device_s = index / RATE_HZ
    seen = (device_s, arrival_s - device_s)
    if state.opened_s is None or state.least is None:
        return RateState(device_s, seen)
    if device_s - state.opened_s < _WINDOW_S:
        return state._replace(least=min(state.least, seen, key=lambda at: at[1]))
    if state.before is not None:
        slower = (state.least[1] - state.before[1]) / (state.least[0] - state.before[0])
        if abs(slower) > _TOLERANCE:
            raise BandRefused(
                f"{name} says that it samples at {RATE_HZ} Hz, and {RATE_HZ / (1 + slower):.0f} samples a "
                "second arrive; update its firmware, or have its crystal looked at"
            )
    return RateState(device_s, seen, state.least)
