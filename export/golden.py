"""Golden recordings: the frames on which an artifact must say what the desk says.

Best are recordings of the wearer that training has not seen; a rehearsal stands in where there are none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.features import LogSpectrogram
from edge.highpass import HighPass
from edge.manifest import ModelManifest
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32
from edge.session import Session
from personalize.features import deployed_input, log_power
from personalize.labels import Labels, labels_of

_POSTURES: Final = 20  # distinct patterns over the electrodes: more than a decoder needs to vary its answer
_BURST_S: Final = 0.1  # activity of a key press
_PERIOD_S: Final = 0.2  # five presses a second: fast typing


class Golden(NamedTuple):
    """One recording as a network sees it: frames (T, W, E, F), and what was typed where that is known."""

    name: str
    frames: Float32
    labels: Labels | None


def golden_of(session: Session, manifest: ModelManifest) -> Golden:
    """A recording through the device's own front end, as `manifest` wants it."""
    return Golden(session.name, deployed_input(log_power(session), manifest), labels_of(session))


def rehearsal(manifest: ModelManifest, duration_s: float = 10.0, seed: int = 0) -> Golden:
    """Typing-like bursts of noise, the same for the same seed, with a rest and a loud disturbance.

    Its text means nothing; it moves every layer through the range that typing does.
    """
    rng = np.random.default_rng(seed)
    samples = round(duration_s * RATE_HZ)
    postures = 60.0 * rng.random((_POSTURES, WRISTS, ELECTRODES)) ** 3  # microvolts
    gain_uv = np.full((samples, WRISTS, ELECTRODES), 4.0, np.float32)  # noise of the electrodes at rest
    for start_s in np.arange(0.0, 0.7 * duration_s, _PERIOD_S):
        start = round(start_s * RATE_HZ)
        gain_uv[start : start + round(_BURST_S * RATE_HZ)] += postures[rng.integers(_POSTURES)]
    knock = round(0.9 * samples)
    gain_uv[knock : knock + RATE_HZ // 10] *= 1000  # a knock on the band; the rest before it is silence
    emg = (rng.standard_normal(gain_uv.shape) * gain_uv).astype(np.float32)
    highpass, spectrogram = HighPass(), LogSpectrogram()
    _, filtered = highpass.step(highpass.initial_state(emg[0]), emg)
    worn = np.ones((samples, WRISTS), np.bool_)
    _, frames = spectrogram.step(spectrogram.initial_state(), filtered, worn)
    return Golden(f"rehearsal-{seed}", deployed_input(frames, manifest), None)
