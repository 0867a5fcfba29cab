"""How the bands sit today against training: how far turned, how loud, which electrodes lost contact.

Neighbouring electrodes hear the same muscles, so which of them swell together is a print of the forearm that
does not depend on what is typed. The print of today, turned until it fits that of training, tells the turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.errors import NotEnoughData
from edge.features import FRAME_RATE_HZ, Frames
from edge.samples import ELECTRODES, SIDES, Float64, Side

SECONDS: Final = 20.0  # of typing: what the error below was measured with
FEWEST_S: Final = 10.0  # of heard samples: under it the print is noise
FURTHEST: Final = 3  # electrodes: a wearer sees a ring that is turned by 70 degrees
NO_CONTACT: Final = 0.05  # of the other electrodes' median power, in one donning and not in the other
# 144 bands put on by simulated wearers 31-34, 41-43 and 304-306 (medium and mid), 20 s of typing against four
# recordings: they fit by 0.81 to 0.97, nine in ten of another wearer's or of hands at rest by less than 0.88,
# and better by 0.05 to 0.45 than turned by more than an electrode from where they fit best.
LEAST_FIT: Final = 0.8
LEAST_MARGIN: Final = 0.05
_DECIBELS: Final = 10.0  # a power ratio's
_DEGREES: Final = 360.0 / ELECTRODES

Int64 = npt.NDArray[np.int64]


class Print(NamedTuple):
    """What one band heard for some time."""

    together: Float64  # (E, E) correlation of the electrodes' log power
    level: Float64  # (E,) mean log10 power


Prints = tuple[Print | None, Print | None]
"""By wrist; None for a band that was not worn."""


class Seat(NamedTuple):
    """How a band sits against training."""

    side: Side
    turned: int  # electrodes: today's electrode e sits where e + turned sat
    between: float  # electrodes: the same, as the fits of the neighbouring turns tell its fraction
    fit: float  # correlation of the two prints as turned
    margin: float  # by how much it beats the turns that are no neighbours; near 0: the turn is a guess
    gain_db: float  # how much louder today is
    lost: tuple[int, ...]  # today's electrodes that have no contact and had it

    @property
    def degrees(self) -> float:
        """`between`, of a full turn of 360."""
        return _DEGREES * self.between

    @property
    def sits_as_before(self) -> bool:
        """Nothing needs to be rolled and no electrode was lost."""
        return self.turned == 0 and not self.lost

    @property
    def is_sure(self) -> bool:
        """The turn is no guess, however far it is."""
        return self.fit >= LEAST_FIT and self.margin >= LEAST_MARGIN

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a roll alone will not do, in words; none where it will."""
        found = []
        if self.lost:
            names = ", ".join(map(str, self.lost))
            found.append(
                f"electrodes {names} of the {self.side} band have no contact: press them to the skin"
            )
        if not self.is_sure:
            found.append(
                f"how the {self.side} band sits is a guess (fit {self.fit:.2f}, {LEAST_FIT:g} is needed; "
                f"ahead of other turns by {self.margin:.2f}, {LEAST_MARGIN:g} is needed)"
            )
        elif abs(self.turned) > FURTHEST:
            found.append(
                f"the {self.side} band is turned by {self.turned:+d} electrodes, further than {FURTHEST}: "
                "put it on as it was"
            )
        return tuple(found)


def prints(frames: Frames) -> Prints:
    """The prints of log-power frames. Raises NotEnoughData for a band heard for under `FEWEST_S` seconds."""
    left, right = (_print(frames, wrist) for wrist in range(len(SIDES)))
    return left, right


def mean_prints(donnings: Iterable[Prints]) -> Prints:
    """What several donnings have in common: a network that was trained on them sits amid them."""
    left, right = (_mean([one for one in of if one]) for of in zip(*donnings, strict=True))
    return left, right


def seats(before: Prints, today: Prints) -> list[Seat]:
    """Compare two donnings, band by band, for the bands worn in both."""
    bands = zip(SIDES, before, today, strict=True)
    return [_seat(side, then, now) for side, then, now in bands if then and now]


def _print(frames: Frames, wrist: int) -> Print | None:
    heard = frames.values[frames.valid[:, wrist], wrist].astype(np.float64)  # (T', E, F)
    if not len(heard):
        return None
    if len(heard) < FEWEST_S * FRAME_RATE_HZ:
        raise NotEnoughData(
            f"the {SIDES[wrist]} band was heard for {len(heard) / FRAME_RATE_HZ:.0f} s; at least "
            f"{FEWEST_S:.0f} s of typing are needed to tell how it sits: type on"
        )
    power = heard.mean(-1)  # (T', E)
    swell = power - power.mean(0)
    size = swell.std(0)
    swell /= np.where(size > 0, size, 1.0)
    return Print(swell.T @ swell / len(swell), power.mean(0))


def _mean(of: Sequence[Print]) -> Print | None:
    if not of:
        return None
    return Print(np.mean([one.together for one in of], 0), np.mean([one.level for one in of], 0))


def _seat(side: Side, before: Print, today: Print) -> Seat:
    turns = np.arange(ELECTRODES) - ELECTRODES // 2
    fits = np.array([_fit(before.together, today.together, int(turn)) for turn in turns])
    best = int(np.argmax(fits))
    turned = int(turns[best])
    change = today.level - before.level[_places(turned)]
    floor = np.log10(NO_CONTACT)
    silent_now = today.level - np.median(today.level) < floor
    silent_then = (before.level - np.median(before.level) < floor)[_places(turned)]
    apart = np.abs(turns - turned)
    return Seat(
        side,
        turned,
        turned + _fraction(*fits[[best - 1, best, (best + 1) % ELECTRODES]]),
        float(fits[best]),
        float(fits[best] - fits[np.minimum(apart, ELECTRODES - apart) > 1].max()),
        _DECIBELS * float(np.median(change)),
        tuple(np.flatnonzero(silent_now & ~silent_then).tolist()),
    )


def _fraction(before: float, best: float, after: float) -> float:
    """Where a parabola through three neighbouring fits has its top, from the middle one, -0.5 to 0.5."""
    bend = before - 2 * best + after
    return float(0.5 * (before - after) / bend) if bend else 0.0


def _fit(before: Float64, today: Float64, turned: int) -> float:
    places = _places(turned)
    pairs = ~np.eye(ELECTRODES, dtype=bool)
    then, now = before[np.ix_(places, places)][pairs], today[pairs]
    if then.std() == 0 or now.std() == 0:
        return 0.0
    return float(np.corrcoef(then, now)[0, 1])


def _places(turned: int) -> Int64:
    """Where each of today's electrodes sat, (E,)."""
    places: Int64 = (np.arange(ELECTRODES) + turned) % ELECTRODES
    return places
