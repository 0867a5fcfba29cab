"""Real surface EMG beside the repository, made like a band's: sixteen electrodes, re-referenced."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pytest

from edge.samples import ELECTRODES, Float32

_GRABMYO: Final = Path(__file__).resolve().parents[2].parent / "shared/data/emg/grabmyo_wrist_forearm.npz"
REFERENCES: Final = ("common average", "bipolar")


class RealEmg(NamedTuple):
    """Trials of gestures, (trial, T, E) microvolts. Its 2048 Hz count as 2000: nothing is resampled."""

    forearm_uv: Float32
    wrist_uv: Float32


def real_emg(reference: str) -> RealEmg:
    """GRABMyo, re-referenced as a band's amplifier is; skips the test where it is absent.

    The wrist's ring has twelve electrodes: the first four stand for the missing ones.
    """
    if not _GRABMYO.exists():
        pytest.skip("the recorded gestures are not beside the repository")
    with np.load(_GRABMYO) as stored:
        emg_uv = stored["emg_int16"] * np.float32(stored["mv_per_lsb"] * 1e3)
        forearm = np.array([name.startswith("F") for name in stored["channels"]])
    wrist_uv = _referenced(emg_uv[:, :, ~forearm], reference)
    return RealEmg(
        _referenced(emg_uv[:, :, forearm], reference),
        np.take(wrist_uv, np.arange(ELECTRODES) % wrist_uv.shape[2], axis=2),
    )


def _referenced(emg_uv: Float32, reference: str) -> Float32:
    if reference == "bipolar":
        return emg_uv - np.roll(emg_uv, 1, axis=2)
    return emg_uv - emg_uv.mean(axis=2, keepdims=True)
