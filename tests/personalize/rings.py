"""Toys with a ring: each key wakes a muscle that lies between electrodes, so a turn of the ring is heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ
from edge.session import Session
from tests.personalize.toys import ALPHABET, toy_session

_PLACES = dict(zip(ALPHABET, (0.0, 2.3, 6.6, 11.4), strict=True))  # electrodes round the ring, unevenly


def ring_session(seed: int = 0, duration_s: float = 20.0, *, turned: float = 0.0) -> Session:
    """A toy's typing, heard by a ring whose electrode e sits where e + `turned` would."""
    toy = toy_session(seed, duration_s)
    rng = np.random.default_rng(seed)
    gain = np.ones_like(toy.emg_uv)
    for key in toy.keys:
        away = np.abs((np.arange(ELECTRODES) + turned - _PLACES[key.key] + 8) % 16 - 8)
        middle = round((key.press_s - toy.time_s[0]) * RATE_HZ)
        around = slice(middle - RATE_HZ // 25, middle + RATE_HZ // 25)
        gain[around] += (30 * np.exp(-2 * away)).astype(np.float32)
    return replace(toy, emg_uv=(rng.standard_normal(gain.shape) * gain).astype(np.float32))
