"""From discharges to potentials on the skin: motor unit potentials seen by a ring of 16 electrodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge.extras import require
from edge.samples import ELECTRODES, RATE_HZ, Float32, Float64
from simulate.anatomy import MotorUnits
from simulate.difficulty import Difficulty
from simulate.firing import Discharges

POTENTIAL_SAMPLES: Final = 48  # 24 ms: the longest potential with its delays
_PEAK_S: Final = 0.009  # where a potential is centred in those 24 ms
_ORDERS: Final = (1.0, 0.5, 0.2)  # Hermite-Rodriguez functions of order 1, 2, 3 at equal heights
_NEAR: Final = 0.35  # wrist radii: a typical unit's distance, where its strength is quoted
_CONTACT: Final = 0.06  # wrist radii: an electrode has an extent, so no distance is zero
_FURTHEST: Final = 1.6  # electrodes: 17 mm on a wrist of 17 cm; further, a wearer sees that it sits wrong
_REGRIP_S: Final = 15.0  # the ring is held still for this long; drift moves it from one piece to the next


@dataclass(frozen=True)
class Donning:
    """How a band sits: one putting-on, and how it creeps until it comes off."""

    rotation: float  # electrodes, against the middle of the palm side
    creep: float  # electrodes by the end of the session
    axial: float  # band widths along the forearm
    gain: Float64  # (E,) of the electrode-skin contact
    gain_creep: Float64  # (E,) by the end of the session, of 1
    fatigue: float  # strength lost by the end of the session, of 1

    @classmethod
    def draw(cls, difficulty: Difficulty, rng: np.random.Generator) -> Donning:
        """One putting-on."""
        return cls(
            rotation=float(np.clip(rng.normal(0, difficulty.donning_shift), -_FURTHEST, _FURTHEST)),
            creep=float(rng.normal(0, difficulty.drift_shift)),
            axial=float(rng.normal(0, 0.35)),
            gain=rng.lognormal(0, difficulty.gain_spread, ELECTRODES),
            gain_creep=rng.normal(0, 0.12, ELECTRODES),
            fatigue=float(rng.uniform(0, 0.12)),
        )


def potentials(units: MotorUnits, donning: Donning, difficulty: Difficulty, elapsed: float = 0.0) -> Float32:
    """Every unit's potential under each electrode, (units, POTENTIAL_SAMPLES, E) in microvolts.

    elapsed: how far the session has gone, 0 to 1.
    """
    distance = _distances(units, donning.rotation + donning.creep * (elapsed - 0.5))  # (units, E)
    strength = units.strength * np.exp(-0.5 * ((units.axial - donning.axial) / 2.2) ** 2)
    contact = donning.gain * (1 + donning.gain_creep * (elapsed - 0.5))
    size = difficulty.amplitude_uv * (1 - donning.fatigue * elapsed) * strength[:, None] * contact
    size = size * (_NEAR / distance) ** difficulty.falloff
    # Across the wrist a potential arrives through more tissue: wider, later, and without its fine structure.
    across = np.clip((distance - 0.3) / 1.2, 0, 1)[:, None, :]
    width_s = difficulty.stretch * units.width_s
    near = _waveforms(units.shape, width_s, units.delay_s)[:, :, None]
    far = _waveforms(0.5 * units.shape, 1.15 * width_s, units.delay_s + 0.0009)[:, :, None]
    return (size[:, None, :] * (near * (1 - across) + far * across)).astype(np.float32)


def conduct(
    discharges: Discharges, units: MotorUnits, donning: Donning, difficulty: Difficulty, count: int
) -> Float32:
    """The potentials of all `discharges` together, (count, E) in microvolts."""
    emg_uv = np.zeros((count + POTENTIAL_SAMPLES, ELECTRODES), np.float32)
    piece = round(_REGRIP_S * RATE_HZ)
    for start in range(0, count, piece):
        now = (discharges.sample >= start) & (discharges.sample < min(start + piece, count))
        until = min(start + piece, count) + POTENTIAL_SAMPLES
        seen = potentials(units, donning, difficulty, start / count).reshape(-1, ELECTRODES)
        fired = Discharges(discharges.sample[now] - start, discharges.unit[now])
        emg_uv[start:until] += _expand(fired, until - start, len(seen)) @ seen
    return emg_uv[:count]


def _distances(units: MotorUnits, rotation: float) -> Float64:
    """From each unit to each electrode, (units, E) in wrist radii, for a ring turned by `rotation`."""
    electrode = 2 * np.pi * (np.arange(ELECTRODES) + rotation) / ELECTRODES
    angle = electrode - units.angle[:, None]
    radius = units.radius[:, None]
    return np.asarray(np.sqrt(1 + radius**2 - 2 * radius * np.cos(angle) + _CONTACT**2))


def _waveforms(shape: Float64, width_s: Float64, delay_s: Float64) -> Float64:
    """Hermite-Rodriguez potentials (units, POTENTIAL_SAMPLES) of weights `shape` (units, 3)."""
    at_s = np.arange(POTENTIAL_SAMPLES) / RATE_HZ - _PEAK_S
    x = (at_s - delay_s[:, None]) / width_s[:, None]
    hermite = np.stack([2 * x, 4 * x**2 - 2, 8 * x**3 - 12 * x], axis=-1) * np.exp(-(x**2))[..., None]
    return np.asarray(np.einsum("utk,uk->ut", hermite, shape * _ORDERS))


def _expand(fired: Discharges, count: int, columns: int) -> Any:  # noqa: ANN401  (scipy is untyped)
    """A sparse (count, columns) matrix of ones: each discharge starts its unit's potential at its sample.

    Times the potentials, flattened to (columns, E), it sums them at the speed of a matrix product.
    """
    sparse = require("scipy.sparse", "sim")
    lag = np.arange(POTENTIAL_SAMPLES)
    row = (fired.sample[:, None] + lag).ravel()
    column = (fired.unit[:, None] * POTENTIAL_SAMPLES + lag).ravel()
    return sparse.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(count, columns))
