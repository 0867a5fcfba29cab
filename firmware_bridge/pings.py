"""When to ask a band which sample it is: shortly before a connection event, never by the same margin."""

from __future__ import annotations

import math
from typing import Final

_PING_S: Final = 0.25  # the clock keeps the best of each second
_FIRST_PING_S: Final = 0.06  # while a clock is new, until it has seen
_FIRST_PINGS: Final = 12

# A ping waits for the next event, and the least wait is what the clock cannot tell from an offset. Answers
# come with events, so that the next one is known; how long this machine takes to hand a ping to its radio
# is not, and a ping that is late waits for a whole interval more.
_MOST_LEAD_S: Final = 0.012
_UNKNOWN_S: Final = 0.05  # the longest interval that hosts use: over it the pings of an unknown one spread
_GOLDEN: Final = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread evenly however many they are


def next_ping_s(answered_s: float, pings: int, interval_s: float) -> float:
    """When to ask next, by the clock of `answered_s`.

    Args:
        answered_s: when the last answer came.
        pings: how many have been answered on this connection.
        interval_s: between connection events; 0 where it is not known.
    """
    earliest_s = answered_s + (_FIRST_PING_S if pings < _FIRST_PINGS else _PING_S)
    place = pings * _GOLDEN % 1
    if interval_s <= 0:
        return earliest_s + _UNKNOWN_S * place
    lead_s = min(interval_s, _MOST_LEAD_S) * place
    events = math.ceil((earliest_s + lead_s - answered_s) / interval_s)
    return answered_s + events * interval_s - lead_s
