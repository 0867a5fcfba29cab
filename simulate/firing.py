"""Motor units fire: rates follow the drive, discharges are a renewal process in the rate's own time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.samples import RATE_HZ, Float64
from simulate.anatomy import MUSCLES, MotorUnits
from simulate.strokes import GRID_HZ

_RATE_PER_DRIVE_HZ: Final = 55.0  # Hz of rate for each unit of drive above the threshold
_FASTEST_HZ: Final = 42.0  # forearm units in brief efforts
_REGULARITY: Final = 7  # gamma order: a coefficient of variation of 1/sqrt(7) = 0.38 in brief bursts


class Discharges(NamedTuple):
    """When motor units fired."""

    sample: np.typing.NDArray[np.int64]  # from the session's start
    unit: np.typing.NDArray[np.int64]


def fire(drive: Float64, units: MotorUnits, rng: np.random.Generator) -> Discharges:
    """The discharges of `units` whose muscles follow `drive` (G, M) on the GRID_HZ grid."""
    samples: list[np.typing.NDArray[np.int64]] = []
    for muscle in range(len(MUSCLES)):
        own = np.flatnonzero(units.muscle == muscle)
        above = drive[:, muscle, None] - units.threshold[own]  # (G, n)
        rate_hz = np.where(
            above > 0, np.minimum(units.onset_hz[own] + _RATE_PER_DRIVE_HZ * above, _FASTEST_HZ), 0.0
        )
        expected = np.cumsum(rate_hz, axis=0) / GRID_HZ  # (G, n) discharges until then
        samples += [_renewal(column, rng) for column in expected.T]
    unit = np.repeat(np.arange(len(samples)), [len(times) for times in samples])
    return Discharges(np.concatenate(samples), unit)


def _renewal(expected: Float64, rng: np.random.Generator) -> np.typing.NDArray[np.int64]:
    """Samples of a gamma renewal process with `expected` (G,) discharges until each grid point."""
    total = expected[-1]
    gaps = rng.gamma(_REGULARITY, 1 / _REGULARITY, int(1.2 * total) + 30)
    operational = np.cumsum(gaps) - rng.random()
    operational = operational[(operational > 0) & (operational < total)]
    strictly_rising = expected + np.arange(len(expected)) * 1e-9
    at_s = np.interp(operational, strictly_rising, np.arange(len(expected)) / GRID_HZ)
    return np.asarray(at_s * RATE_HZ, np.int64)
