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

_BLOCK_FRAMES: Final = 32  # a quarter of a second: 0.3 MB an array, so that a block's stay in a core's cache


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
        out = np.empty(frames.values.shape, np.float32)
        for start in range(0, len(out), _BLOCK_FRAMES):
            block = slice(start, start + _BLOCK_FRAMES)
            state = self._normalize(state, Frames(frames.values[block], frames.valid[block]), out[block])
        return state, out

    def _normalize(self, state: NormState, frames: Frames, out: Float32) -> NormState:
        """Write a block's normalised frames to `out`; only what has to wait for the frame before is a loop.

        With n the weight after a frame x: mean' = (1 - 1/n) mean + x / n, and the variance follows
        (x - mean) (x - mean') in the same way (Welford 1962). A missing frame has no share.
        """
        present = frames.valid[:, :, None, None]  # (T, W, 1, 1)
        grown = np.add.accumulate(np.concatenate([state.weight[None], frames.valid]))[1:]  # (T, W)
        weight = np.minimum(grown, self.horizon_frames)
        share = np.where(frames.valid, 1 / weight, 0.0)[:, :, None, None]
        values = np.where(present, frames.values, np.float32(0)).astype(np.float64)
        mean = _follow(state.mean, values * share, 1 - share)  # (T + 1, W, E, F)
        after = values - mean[1:]
        values -= mean[:-1]
        values *= after
        values *= share
        variance = _follow(state.variance, values, 1 - share)
        spread = np.sqrt(np.maximum(variance[1:].astype(np.float32), np.float32(VARIANCE_FLOOR)))
        np.divide(after.astype(np.float32), spread, out=out)
        out[~frames.valid] = 0
        return NormState(mean[-1].copy(), variance[-1].copy(), weight[-1])


def _follow(start: Float64, steps: Float64, keep: Float64) -> Float64:
    """The (T + 1, ...) values of y' = keep y + step, the first of them `start`."""
    path = np.empty((len(steps) + 1, *start.shape))
    path[0] = before = start
    kept = np.empty_like(start)
    for now, step, share in zip(path[1:], steps, keep, strict=True):
        np.multiply(before, share, out=kept)
        np.add(kept, step, out=now)
        before = now
    return path


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
