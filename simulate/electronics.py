"""What a band adds to the muscles' potentials: offset, noise, mains, movement artefacts, lost contact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.extras import require
from edge.samples import ELECTRODES, RATE_HZ, Float32, Float64
from simulate.difficulty import Difficulty

# A real band has about 2.46 µV rms of input noise; with the corner below, 1.4 µV of it is white.
WHITE_NOISE_UV: Final = 1.4  # rms over 0-1000 Hz
NOISE_CORNER_HZ: Final = 275.0  # below it 1/f noise of dry electrodes outweighs the white noise
_LOWEST_HZ: Final = 0.5  # 1/f noise is flat below
ANTI_ALIAS_HZ: Final = 850.0  # the band's low-pass
MAINS_UV: Final = 1.2  # a typical session's amplitude
_HARMONICS: Final = ((1, 1.0), (2, 0.2), (3, 0.45), (5, 0.25), (7, 0.1))  # odd ones prevail
_OFFSET_UV: Final = 150.0  # dry electrodes' half-cell potentials, one against the other
_POLARISATION_UV: Final = 30.0  # how far an offset creeps in a session
_KNOCK: Final = 0.08  # a key's impact against a bump of the wrist
_BUMPS_PER_S: Final = 0.08
_LOST_GAIN: Final = 0.05  # of the muscles' signal through a lifted electrode
_LOST_NOISE_UV: Final = 3.0  # and what it picks up instead
_LOST_S: Final = (5.0, 40.0)


class ContactLoss(NamedTuple):
    """One electrode of a band off the skin, in samples."""

    electrode: int
    start: int
    stop: int


@dataclass(frozen=True)
class Electronics:
    """One band in one session: everything between skin and sample that is not muscle."""

    mains_hz: float
    mains_uv: Float64  # (2, E) in phase and in quadrature
    offset_uv: Float64  # (E,)
    offset_creep_uv: Float64  # (E,) by the end of the session
    noise: Float64  # (E,) against a typical electrode's
    artefact_uv: Float64  # (E,) size and sign of a bump
    artefact_hz: float  # how the band rings when bumped
    losses: tuple[ContactLoss, ...]

    @classmethod
    def draw(
        cls, difficulty: Difficulty, mains_hz: float, count: int, rng: np.random.Generator
    ) -> Electronics:
        """One putting-on of a band for `count` samples."""
        return cls(
            mains_hz=mains_hz,
            mains_uv=MAINS_UV * rng.lognormal(0, 0.6) * rng.normal(0, 0.6, (2, ELECTRODES)),
            offset_uv=rng.normal(0, _OFFSET_UV, ELECTRODES),
            offset_creep_uv=rng.normal(0, _POLARISATION_UV, ELECTRODES),
            noise=rng.lognormal(0, 0.2, ELECTRODES),
            artefact_uv=rng.normal(0, difficulty.artefact_uv, ELECTRODES),
            artefact_hz=rng.uniform(18, 32),
            losses=tuple(_losses(difficulty.contact_losses_per_min, count, rng)),
        )

    def record(self, emg_uv: Float32, presses_s: Iterable[float], rng: np.random.Generator) -> Float32:
        """What the band samples (T, E) when the muscles make `emg_uv` (T, E); `presses_s` knock the band."""
        count = len(emg_uv)
        raw = emg_uv.copy()
        self._lift(raw, rng)
        raw += self.noise.astype(np.float32) * amplifier_noise(count, rng)
        at_s = np.arange(count) / RATE_HZ
        raw += mains(at_s, self.mains_hz) @ self.mains_uv.astype(np.float32)
        creep = np.linspace(0, 1, count, dtype=np.float32)[:, None]
        raw += self.offset_uv.astype(np.float32) + creep * self.offset_creep_uv.astype(np.float32)
        self._shake(raw, presses_s, rng)
        return raw

    def _lift(self, raw: Float32, rng: np.random.Generator) -> None:
        for electrode, start, stop in self.losses:
            raw[start:stop, electrode] *= _LOST_GAIN
            hum = mains(np.arange(start, stop) / RATE_HZ, self.mains_hz)[:, 0]
            hiss = rng.standard_normal(len(hum), dtype=np.float32)
            raw[start:stop, electrode] += _LOST_NOISE_UV * (hiss + hum)

    def _shake(self, raw: Float32, presses_s: Iterable[float], rng: np.random.Generator) -> None:
        """Add the ringing of the band after knocks of keys and bumps of the wrist."""
        events = [(s, _KNOCK * rng.lognormal(0, 0.6)) for s in presses_s if rng.random() < 0.5]
        duration_s = len(raw) / RATE_HZ
        bumps = rng.poisson(_BUMPS_PER_S * duration_s)
        events += [(rng.uniform(0, duration_s), rng.lognormal(0, 0.7)) for _ in range(bumps)]
        at_s = np.arange(round(0.4 * RATE_HZ)) / RATE_HZ
        ringing = np.sin(2 * np.pi * self.artefact_hz * at_s) * np.exp(-at_s / 0.03)
        swing = 4 * np.sin(2 * np.pi * 2.5 * at_s) * np.exp(-at_s / 0.1)  # the band slides and settles
        shape = np.outer(ringing + swing, self.artefact_uv).astype(np.float32)  # (n, E)
        for s, size in events:
            start = int(s * RATE_HZ)
            part = raw[start : start + len(shape)]
            part += np.float32(size) * shape[: len(part)]


def amplifier_noise(count: int, rng: np.random.Generator) -> Float32:
    """Noise of one band, (count, E) in microvolts: white and 1/f, low-passed by the anti-alias filter."""
    fft = require("scipy.fft", "sim")
    length = fft.next_fast_len(max(count, 2), real=True)
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    density = np.sqrt((1 + NOISE_CORNER_HZ / np.maximum(hz, _LOWEST_HZ)) / (1 + (hz / ANTI_ALIAS_HZ) ** 8))
    size = (WHITE_NOISE_UV * np.sqrt(length / 2) * density).astype(np.float32)  # of a real or imaginary part
    parts = rng.standard_normal((ELECTRODES, len(hz), 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0] * size  # (E, F)
    noise: Float32 = fft.irfft(spectrum, length, axis=-1)[:, :count].T
    return noise


def mains(at_s: Float64, mains_hz: float) -> Float32:
    """The mains and its harmonics in phase and in quadrature, (T, 2), the fundamental of amplitude 1."""
    phase = np.exp(2j * np.pi * mains_hz * at_s)
    wave = sum(height * phase**order for order, height in _HARMONICS)
    return np.stack([np.imag(wave), np.real(wave)], axis=1).astype(np.float32)


def _losses(per_min: float, count: int, rng: np.random.Generator) -> Iterable[ContactLoss]:
    for _ in range(rng.poisson(per_min * count / RATE_HZ / 60)):
        start = int(rng.integers(count))
        stop = min(count, start + round(rng.uniform(*_LOST_S) * RATE_HZ))
        yield ContactLoss(int(rng.integers(ELECTRODES)), start, stop)
