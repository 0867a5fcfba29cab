"""One forearm: its muscles around the wrist, and the motor units they are made of.

Angles run around the wrist from the middle of the palm side towards the little finger, so that left and
right hands share one table. Radii are fractions of the wrist's: 0 its axis, 1 the skin.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.samples import Float64


class Muscle(NamedTuple):
    """Where a muscle (or its finger's part) lies at the wrist."""

    name: str
    angle_deg: float
    depth: float  # under the skin, of the radius


# Flexors of fingers 2-5 (superficial, deep), the thumb's, the wrist's; then the same on the back of the hand.
MUSCLES: Final = (
    Muscle("FDS2", -20, 0.55),
    Muscle("FDS3", 0, 0.45),
    Muscle("FDS4", 18, 0.42),
    Muscle("FDS5", 34, 0.50),
    Muscle("FDP2", -10, 0.70),
    Muscle("FDP345", 15, 0.72),
    Muscle("FPL", -38, 0.62),
    Muscle("FCR", -48, 0.35),
    Muscle("PL", -5, 0.25),
    Muscle("FCU", 60, 0.32),
    Muscle("EDC2", 158, 0.40),
    Muscle("EDC3", 176, 0.34),
    Muscle("EDC4", 192, 0.36),
    Muscle("EDC5", 208, 0.42),
    Muscle("EIP", 165, 0.60),
    Muscle("EDM", 222, 0.34),
    Muscle("EPL", 140, 0.58),
    Muscle("APL", 118, 0.38),
    Muscle("ECR", 130, 0.36),
    Muscle("ECU", 242, 0.32),
)

FLEXORS: Final = (("FPL",), ("FDS2", "FDP2"), ("FDS3", "FDP345"), ("FDS4", "FDP345"), ("FDS5", "FDP345"))
EXTENSORS: Final = (("EPL", "APL"), ("EDC2", "EIP"), ("EDC3",), ("EDC4",), ("EDC5", "EDM"))

_UNITS: Final = (9, 15)  # motor units a muscle: a hundredth of the real number, each standing for many


@dataclass(frozen=True)
class MotorUnits:
    """The motor units of one forearm, arrays of one entry a unit."""

    muscle: np.typing.NDArray[np.intp]  # index into MUSCLES
    threshold: Float64  # drive at which it is recruited
    onset_hz: Float64  # its rate when recruited
    angle: Float64  # radians around the wrist
    radius: Float64  # of the wrist's
    strength: Float64  # 1 is typical; late recruits are larger (Henneman's size principle)
    width_s: Float64  # time scale of its potential
    delay_s: Float64  # of its potential after the discharge
    axial: Float64  # along the forearm, in band widths
    shape: Float64  # (n, 3) weights of Hermite-Rodriguez waveforms of order 1 to 3

    @classmethod
    def grow(cls, rng: np.random.Generator) -> MotorUnits:
        """One person's forearm."""
        return cls._join([_muscle_units(index, muscle, rng) for index, muscle in enumerate(MUSCLES)])

    def without(self, missing: Collection[str]) -> MotorUnits:
        """The same forearm in which the muscles of these names, all in MUSCLES, are silent or gone."""
        kept = ~np.isin(self.muscle, [i for i, muscle in enumerate(MUSCLES) if muscle.name in missing])
        return MotorUnits(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))

    @classmethod
    def _join(cls, parts: list[MotorUnits]) -> MotorUnits:
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__))


def _muscle_units(index: int, muscle: Muscle, rng: np.random.Generator) -> MotorUnits:
    angle = np.deg2rad(muscle.angle_deg + rng.normal(0, 7))
    radius = float(np.clip(1 - muscle.depth + rng.normal(0, 0.05), 0.12, 0.9))
    bulk = rng.lognormal(0, 0.25)
    n = int(rng.integers(*_UNITS))
    order = np.arange(n) / n
    radii = np.clip(radius + rng.normal(0, 0.07, n), 0.08, 0.93)
    return MotorUnits(
        muscle=np.full(n, index),
        threshold=np.geomspace(0.03, 0.75, n)
        * rng.lognormal(0, 0.1, n),  # many small, few large: exponential
        onset_hz=rng.uniform(8, 12, n),
        angle=angle + rng.normal(0, 0.16, n),
        radius=radii,
        strength=bulk * (0.35 + 1.6 * order**1.3) * rng.lognormal(0, 0.2, n),
        width_s=(0.0011 + 0.0022 * (1 - radii)) * rng.lognormal(0, 0.12, n),  # tissue is a low-pass
        delay_s=rng.normal(0, 0.0012, n),
        axial=rng.normal(0, 1, n),
        shape=rng.normal([1, 0.6, 0.3], 0.25, (n, 3)) * rng.choice([-1, 1], (n, 1)),
    )
