"""How the bands sit today against the last time: how far turned, how loud, which electrodes lost contact.

Neighbouring electrodes hear the same muscles, so which of them swell together is a print of the forearm that
does not depend on what is typed. The print of today, turned until it fits the last one best, tells the turn.
"""

from __future__ import annotations

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
_DECIBELS: Final = 10.0  # a power ratio's

Int64 = npt.NDArray[np.int64]


class Print(NamedTuple):
    """What one band heard for some time."""

    together: Float64  # (E, E) correlation of the electrodes' log power
    level: Float64  # (E,) mean log10 power


class Seat(NamedTuple):
    """How a band sits against the last time."""

    side: Side
    turned: int  # electrodes: today's electrode e sits where e + turned sat
    fit: float  # correlation of the two prints as turned
    margin: float  # by how much it beats the next best turn; near 0: the turn is a guess
    gain_db: float  # how much louder today is
    lost: tuple[int, ...]  # today's electrodes that have no contact and had it

    @property
    def sits_as_before(self) -> bool:
        """Nothing needs to be rolled and no electrode was lost."""
        return self.turned == 0 and not self.lost


def seats(before: Frames, today: Frames) -> list[Seat]:
    """Compare log-power frames of two donnings, band by band, for the bands worn in both.

    Raises NotEnoughData where one was heard for under `FEWEST_S` seconds.
    """
    return [
        _seat(side, _print(before, wrist), _print(today, wrist))
        for wrist, side in enumerate(SIDES)
        if before.valid[:, wrist].any() and today.valid[:, wrist].any()
    ]


def roll(frames: Frames, turned: tuple[int, int]) -> Frames:
    """Today's frames (T, W, E, F) with each band's electrodes where they were last time."""
    rolled = [np.roll(frames.values[:, wrist], turn, axis=1) for wrist, turn in enumerate(turned)]
    return Frames(np.stack(rolled, axis=1), frames.valid)


def _print(frames: Frames, wrist: int) -> Print:
    heard = frames.values[frames.valid[:, wrist], wrist].astype(np.float64)  # (T', E, F)
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


def _seat(side: Side, before: Print, today: Print) -> Seat:
    turns = np.arange(-FURTHEST, FURTHEST + 1)
    fits = np.array([_fit(before.together, today.together, int(turn)) for turn in turns])
    best = int(np.argmax(fits))
    turned = int(turns[best])
    then = before.level[_places(turned)]
    change = today.level - then
    floor = np.log10(NO_CONTACT)
    silent_now, silent_then = (level - np.median(level) < floor for level in (today.level, then))
    return Seat(
        side,
        turned,
        float(fits[best]),
        float(fits[best] - np.delete(fits, best).max()),
        _DECIBELS * float(np.median(change)),
        tuple(np.flatnonzero(silent_now & ~silent_then).tolist()),
    )


def _fit(before: Float64, today: Float64, turned: int) -> float:
    places = _places(turned)
    pairs = ~np.eye(ELECTRODES, dtype=bool)
    then, now = before[np.ix_(places, places)][pairs], today[pairs]
    if then.std() == 0 or now.std() == 0:
        return 0.0
    return float(np.corrcoef(then, now)[0, 1])


def _places(turned: int) -> Int64:
    """Where each of today's electrodes sat last time, (E,)."""
    places: Int64 = (np.arange(ELECTRODES) + turned) % ELECTRODES
    return places
