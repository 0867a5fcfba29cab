"""How much a wearer's signal says of each key, without a network: a ridge regression with press times known.

The difficulty presets are pinned by it, so it stays as it is: fitted on one session, read on another of the
same user (another donning), top-1 over all presses. A key that the first session lacks counts as an error.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.features import BINS, FRAME_RATE_HZ, LogSpectrogram
from edge.highpass import HighPass
from edge.samples import Float32, Float64
from simulate.wearer import Performance

PROBE_S: Final = 240.0  # each of the two sessions: about a thousand presses
_BEFORE_FRAMES: Final = 24  # 192 ms: a press is prepared from some 150 ms before contact
_AFTER_FRAMES: Final = 16  # 128 ms: and released some 110 ms after it
_POOL_FRAMES: Final = 4  # 32 ms, the length of a frame's window
_BAND_EDGES: Final = (1, 2, 4, 8, 12, 22, BINS)  # bins of 31.25 Hz: octaves, then coarser
_PENALTY: Final = 0.5  # ridge penalty, of the number of features (they are standardised)


class ProbeResult(NamedTuple):
    """What the probe read from the held-out session."""

    accuracy: float  # top-1
    majority: float  # of a guess that always says the commonest key
    presses: int


def probe(fitted: Performance, held_out: Performance) -> ProbeResult:
    """Fit on one session's presses, read another's."""
    known, known_keys = _presses(fitted)
    asked, asked_keys = _presses(held_out)
    targets = np.eye(len(CHARSET.keys))[known_keys]
    centre = targets.mean(0)
    penalty = _PENALTY * known.shape[1]
    weights = np.linalg.solve(known @ known.T + penalty * np.eye(len(known)), targets - centre)  # dual ridge
    scores = asked @ (known.T @ weights) + centre
    counts = np.bincount(asked_keys)
    return ProbeResult(
        float(np.mean(scores.argmax(1) == asked_keys)), float(counts.max() / counts.sum()), len(asked_keys)
    )


def _presses(performance: Performance) -> tuple[Float64, np.typing.NDArray[np.intp]]:
    """Features (presses, n) around each press of a key in the charset, and its class."""
    bands = _bands(performance)
    before = _BEFORE_FRAMES
    after = _AFTER_FRAMES
    features, classes = [], []
    for key in performance.keys:
        frame = round(key.press_s * FRAME_RATE_HZ)
        if key.key in CHARSET and before <= frame <= len(bands) - after:
            around = bands[frame - before : frame + after].reshape(-1, _POOL_FRAMES, *bands.shape[1:])
            features.append(around.mean(1).ravel())
            classes.append(CHARSET.index(key.key))
    return np.asarray(features, np.float64), np.asarray(classes)


def _bands(performance: Performance) -> Float32:
    """Log power in six bands, (T, W, E, 6), each standardised over the session: donnings differ in gain."""
    high_pass, spectrogram = HighPass(), LogSpectrogram()
    _, filtered = high_pass.step(high_pass.initial_state(performance.emg_uv[0]), performance.emg_uv)
    _, frames = spectrogram.step(spectrogram.initial_state(), filtered, performance.valid)
    bands = np.stack([frames.values[..., low:high].mean(-1) for low, high in pairwise(_BAND_EDGES)], axis=-1)
    spread = np.maximum(bands.std(0), 1e-3)  # a band that is not worn stays 0
    standard: Float32 = (bands - bands.mean(0)) / spread
    return standard
