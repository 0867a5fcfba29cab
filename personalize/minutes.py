"""What more minutes of typing would bring: simulated wearers' learning curve, at the user's own CER.

Over the minutes that train, the CER falls as a power of them; the exponent is much the same from wearer to
wearer, and where on the curve a person is, their own CER says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

# Of two mid wearers, one seed, the base of 20 wearers: 0.22 of 601 (1 to 32 minutes), 0.21 of 602 (1 and 8).
# python benchmarks/personalization/minutes.py OUT --arms default --wearers 601 602
EXPONENT: Final = 0.22
FEWEST: Final = 1.0  # minutes of recordings to train on from which the curve was measured
MOST: Final = 32.0  # and up to which; nothing is promised beyond
MORE: Final = 5.0  # minutes: two or three sittings of `qwrist enroll`


class Outlook(NamedTuple):
    """What to expect of more recordings."""

    minutes: float  # more of them
    points: float  # of CER gained by them


def outlook(cer_percent: float, minutes: float, more: float = MORE) -> Outlook | None:
    """What `more` minutes would bring to whoever has `cer_percent` from `minutes`; None off the curve.

    Where the curve ends before them, what brings its user to the end is told; of less than a minute, nothing.
    """
    more = min(more, MOST - minutes)
    if minutes < FEWEST or more < 1:
        return None
    return Outlook(more, cer_percent * (1 - ((minutes + more) / minutes) ** -EXPONENT))


def exponent(cers: Mapping[float, float]) -> float:
    """How fast a wearer's CER falls, from CERs by minutes: a straight line where both are logarithms.

    Raises ValueError for fewer than two points, or a CER of 0.
    """
    if len(cers) < 2 or min(cers.values()) <= 0:
        raise ValueError("a curve takes two CERs above 0 at least")
    slope = np.polyfit([math.log(m) for m in cers], [math.log(c) for c in cers.values()], 1)[0]
    return -float(slope)
