"""Raw samples that a device meets: typing, rest, offsets, dropouts, rails, a knock; synthetic, or real."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pytest

from edge.features import Frames, LogSpectrogram
from edge.highpass import HighPass
from edge.manifest import Normalization
from edge.normalize import RunningNorm, prior_from
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Bool, Float32

REST_UV: Final = 4.0  # noise of an electrode on skin
RAIL_UV: Final = 6000.0  # where an amplifier of gain 200 at 1.2 V stops
_REAL: Final = Path(__file__).parents[3] / "shared/data/emg/grabmyo_wrist_forearm.npz"


class Scene(NamedTuple):
    """Samples as a band delivers them."""

    emg_uv: Float32  # (T, W, E)
    valid: Bool  # (T, W)


class Expected(NamedTuple):
    """What NumPy makes of a scene."""

    frames: Frames
    norm: Normalization
    network_input: Float32


def typing_scene(seconds: float = 6.0, seed: int = 0) -> Scene:
    """Bursts on a third of the electrodes, five a second, over noise and each electrode's own offset."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * RATE_HZ)
    gain = np.full((samples, WRISTS, ELECTRODES), REST_UV)
    for start in range(0, samples * 2 // 3, RATE_HZ // 5):
        gain[start : start + RATE_HZ // 10] += 60 * rng.random((WRISTS, ELECTRODES)) ** 3
    offset = 300 * rng.standard_normal((WRISTS, ELECTRODES))
    emg = (rng.standard_normal(gain.shape) * gain + offset).astype(np.float32)
    return Scene(emg, np.ones((samples, WRISTS), np.bool_))


def hard_scene(seconds: float = 6.0, seed: int = 1) -> Scene:
    """Typing with dropouts of both bands and of one, clipping at the rails, and a knock: a thousand times."""
    emg, valid = typing_scene(seconds, seed)
    second = RATE_HZ
    emg[second : second + 300] = emg[second - 1]  # both bands are gone: the last value is repeated
    valid[second : second + 300] = False
    emg[2 * second : 2 * second + 40, 0] = emg[2 * second - 1, 0]  # a packet of the left one
    valid[2 * second : 2 * second + 40, 0] = False
    loud = slice(3 * second, 3 * second + 800)
    rest = emg[loud].mean(0)
    emg[loud] = np.clip(100 * (emg[loud] - rest), -RAIL_UV, RAIL_UV)
    knock = slice(round(4.5 * second), round(4.6 * second))
    emg[knock] = 1000 * (emg[knock] - rest)
    return Scene(emg, valid)


def real_scene(seed: int = 0) -> Scene:
    """Gestures from two forearms' worth of real electrodes. Skips the test where the data are absent."""
    if not _REAL.is_file():
        pytest.skip("../shared/data/emg is not there: no real EMG to compare on")
    with np.load(_REAL) as file:
        emg = (
            file["emg_int16"].astype(np.float64) * file["mv_per_lsb"] * 1000
        )  # (trials, T, channels) microvolts
    pick = np.random.default_rng(seed).permutation(emg.shape[0])[:2]
    rings = [emg[trial][:, :ELECTRODES] for trial in pick]  # the forearm's ring of 16
    stacked = np.stack(rings, 1)  # (T, W, E)
    # Recorded against one far electrode; a band's electrodes are read against its own.
    stacked = (stacked - stacked.mean(-1, keepdims=True)).astype(np.float32)
    return Scene(stacked, np.ones(stacked.shape[:2], np.bool_))


def expected_of(scene: Scene, *, filtered: bool = False) -> Expected:
    """The reference: edge's NumPy, and a prior from the very frames."""
    emg, highpass, spectrogram = scene.emg_uv, HighPass(), LogSpectrogram()
    if not filtered:
        _, emg = highpass.step(highpass.initial_state(emg[0]), emg)
    _, frames = spectrogram.step(spectrogram.initial_state(), emg, scene.valid)
    norm = Normalization.of(prior_from([frames]))
    running = RunningNorm(norm.prior_frames, norm.horizon_frames)
    return Expected(frames, norm, running.step(running.initial_state(norm.prior), frames)[1])
