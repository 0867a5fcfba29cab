"""Does a band sample at the rate that it says? Measured against the host's clock, stalls aside."""

from __future__ import annotations

from typing import Final, NamedTuple

from edge.samples import RATE_HZ
from firmware_bridge.errors import BandRefused

# Within a window the least delayed packet counts, as in the clock. That delay differs by 0.1 s at most
# between two windows of a link that carries its packets: 1 %. It differs by more once where a transmit
# queue fills up for good, where this machine has slept, or where the least delayed packets of two windows
# are neighbours. Only a band's crystal does so twice running. The next rate in use is 2048 Hz, 2.4 % off.
_WINDOW_S: Final = 10.0
_TOLERANCE: Final = 0.015


class _Least(NamedTuple):
    """The least delayed packet of a window."""

    device_s: float
    delay_s: float  # arrival - device seconds


class RateState(NamedTuple):
    """The window that is open, the least delay of it and of the one before, and how that differed."""

    opened_s: float | None = None  # device seconds
    least: _Least | None = None
    before: _Least | None = None
    slower: float = 0.0  # how many seconds late, a second, from the window before the last to the last


def check_rate(state: RateState, index: int, arrival_s: float, name: str) -> RateState:
    """Take an arrival. Raises BandRefused where three windows of 10 s say that the rate is another."""
    device_s = index / RATE_HZ
    seen = _Least(device_s, arrival_s - device_s)
    if state.opened_s is None or state.least is None:
        return RateState(device_s, seen)
    if device_s - state.opened_s < _WINDOW_S:
        return state._replace(least=min(state.least, seen, key=lambda least: least.delay_s))
    slower = 0.0 if state.before is None else _slower(state.before, state.least)
    less = slower if abs(slower) < abs(state.slower) else state.slower
    if abs(less) > _TOLERANCE and slower * state.slower > 0:
        raise BandRefused(
            f"{name} says that it samples at {RATE_HZ} Hz, and {RATE_HZ / (1 + less):.0f} samples a second "
            "arrive; update its firmware, or have its crystal looked at"
        )
    return RateState(device_s, seen, state.least, slower)


def _slower(before: _Least, after: _Least) -> float:
    return (after.delay_s - before.delay_s) / (after.device_s - before.device_s)
