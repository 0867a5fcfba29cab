"""Variation from window to window, on frames (T, W, E, F), in place, all draws from the Generator given.

Rotation and temporal jitter follow emg2qwerty (arXiv 2410.20081), masks SpecAugment (Park et al. 2019).
"""

from __future__ import annotations

import math

import numpy as np

from edge.features import BINS, FRAME_RATE_HZ
from edge.samples import ELECTRODES, WRISTS, Float32
from personalize.recipe import Augmentation


def augment(frames: Float32, settings: Augmentation, rng: np.random.Generator) -> None:
    """Rotate, shift and mask one window."""
    for wrist in range(WRISTS):
        rotate(frames, wrist, rng.uniform(-settings.rotation_electrodes, settings.rotation_electrodes))
    jitter_frames = round(settings.jitter_s * FRAME_RATE_HZ)
    shift(frames, int(rng.integers(WRISTS)), int(rng.integers(-jitter_frames, jitter_frames + 1)))
    for _ in range(rng.integers(settings.time_masks + 1)):
        mask_time(frames, round(settings.time_mask_s * FRAME_RATE_HZ), rng)
    for _ in range(rng.integers(settings.frequency_masks + 1)):
        mask_bins(frames, settings.frequency_mask_bins, rng)
    for _ in range(rng.integers(settings.electrode_masks + 1)):
        mask_electrodes(frames, settings.electrode_mask_width, rng)


def rotate(frames: Float32, wrist: int, electrodes: float) -> None:
    """Turn one band, as a new donning does; between two electrodes their frames are interpolated."""
    whole = math.floor(electrodes)
    share = electrodes - whole
    ring = frames[:, wrist]
    near, far = np.roll(ring, whole, axis=1), np.roll(ring, whole + 1, axis=1)
    frames[:, wrist] = near + np.float32(share) * (far - near)


def shift(frames: Float32, wrist: int, count: int) -> None:
    """Delay one wrist by `count` frames (earlier if negative); the frame at the edge is held."""
    if count:
        source = np.clip(np.arange(len(frames)) - count, 0, len(frames) - 1)
        frames[:, wrist] = frames[source, wrist]


def mask_time(frames: Float32, longest: int, rng: np.random.Generator) -> None:
    """Replace up to `longest` frames of one wrist by its mean over the window."""
    width = int(rng.integers(min(longest, len(frames)) + 1))
    start, wrist = int(rng.integers(len(frames) - width + 1)), int(rng.integers(WRISTS))
    frames[start : start + width, wrist] = frames[:, wrist].mean(0)


def mask_bins(frames: Float32, widest: int, rng: np.random.Generator) -> None:
    """Replace up to `widest` neighbouring bins of every electrode by their mean."""
    width = int(rng.integers(widest + 1))
    start = int(rng.integers(BINS - width + 1))
    band = frames[..., start : start + width]
    if width:
        band[:] = band.mean()


def mask_electrodes(frames: Float32, widest: int, rng: np.random.Generator) -> None:
    """Silence up to `widest` neighbouring electrodes of one ring, as lost contact does: 0, the mean."""
    width, first, wrist = (
        int(rng.integers(widest + 1)),
        int(rng.integers(ELECTRODES)),
        int(rng.integers(WRISTS)),
    )
    frames[:, wrist, (first + np.arange(width)) % ELECTRODES] = 0
