"""Running normalisation of frames: what live typing can know, used in training too.

Per wrist, electrode and bin, a mean and a variance follow the signal. They start from a prior (the user's
training recordings) that weighs as much as `prior_frames`, then forget with a horizon of `horizon_frames`.
Frames of a missing band move nothing and come out as 0, the mean: to a network, absent looks average.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.features import BINS, Frames
from edge.samples import ELECTRODES, WRISTS, Float32, Float64

PRIOR_FRAMES: Final = 250.0  # 2 s: a donning's gains differ, so the prior yields quickly
HORIZON_FRAMES: Final = 7500.0  # 60 s: long against a phrase, short against drift
VARIANCE_FLOOR: Final = 1e-4  # (log10 power)^2: a dead electrode stays small instead of exploding


class Prior(NamedTuple):
    """Statistics to start from: mean and standard deviation of log10 power, each (W, E, F)."""

    mean: Float32
    std: Float32


class NormState(NamedTuple):
    """Running statistics: mean and variance (W, E, F), weight (W,) in frames."""

    mean: Float64
    variance: Float64
    weight: Float64


@dataclass(frozen=True)
class RunningNorm:
    """Streaming normalisation; `step` is pure, frame by frame, so chunk sizes do not change a bit."""

    prior_frames: float = PRIOR_FRAMES
    horizon_frames: float = HORIZON_FRAMES

    def initial_state(self, prior: Prior) -> NormState:
        """Start from `prior`."""
        return NormState(
            prior.mean.astype(np.float64),
            np.maximum(prior.std.astype(np.float64) ** 2, VARIANCE_FLOOR),
            np.full(WRISTS, self.prior_frames),
        )

    def step(self, state: NormState, frames: Frames) -> tuple[NormState, Float32]:
        """Give (T, W, E, F) normalised frames, each by statistics that include itself and nothing later."""
        mean, variance, weight = (array.copy() for array in state)
        out = np.zeros(frames.values.shape, np.float32)
        for t, valid in enumerate(frames.valid):
            for wrist in np.flatnonzero(valid):
                weight[wrist] = min(weight[wrist] + 1.0, self.horizon_frames)
                before = frames.values[t, wrist] - mean[wrist]
                mean[wrist] += before / weight[wrist]
                after = frames.values[t, wrist] - mean[wrist]
                variance[wrist] += (before * after - variance[wrist]) / weight[wrist]
                out[t, wrist] = after / np.sqrt(np.maximum(variance[wrist], VARIANCE_FLOOR))
        return NormState(mean, variance, weight), out


def prior_from(sessions: Iterable[Frames]) -> Prior:
    """The prior that a set of recordings gives: statistics over their valid frames, one weight a frame."""
    total = np.zeros(WRISTS)
    first = np.zeros((WRISTS, ELECTRODES, BINS))
    second = np.zeros((WRISTS, ELECTRODES, BINS))
    for frames in sessions:
        for wrist in range(WRISTS):
            values = frames.values[frames.valid[:, wrist], wrist].astype(np.float64)
            total[wrist] += len(values)
            first[wrist] += values.sum(0)
            second[wrist] += (values**2).sum(0)
    count = np.maximum(total, 1.0)[:, None, None]
    mean = first / count
    variance = np.where(total[:, None, None] > 0, second / count - mean**2, 1.0)
    return Prior(mean.astype(np.float32), np.sqrt(np.maximum(variance, VARIANCE_FLOOR)).astype(np.float32))
