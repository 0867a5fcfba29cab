"""Log-spectrogram frames, streaming: 64-sample windows every 16 samples, 125 frames/s, 33 bins.

Matches emg2qwerty's front end (arXiv 2410.20081, section 4.1): periodic Hann window, |X|^2 divided by the
window's energy sum(w^2) = 24, no centring, log10(. + 1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Bool, Float32, Float64

N_FFT: Final = 64  # samples: 32 ms at 2 kHz, 31.25 Hz a bin
HOP: Final = 16  # samples: 2 kHz -> 125 frames/s
BINS: Final = N_FFT // 2 + 1
FRAME_RATE_HZ: Final = RATE_HZ / HOP
POWER_FLOOR: Final = 1e-6  # added before the logarithm

HANN: Final[Float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
HANN.setflags(write=False)


class Frames(NamedTuple):
    """Consecutive frames. Frame i covers samples [16 i, 16 i + 64)."""

    values: Float32  # (T, W, E, F) log10 power
    valid: Bool  # (T, W): no sample of the window is missing


class FeatureState(NamedTuple):
    """The samples that the next window starts with: fewer than 64."""

    emg: Float32  # (n, W, E)
    valid: Bool  # (n, W)


@dataclass(frozen=True)
class LogSpectrogram:
    """A streaming log-spectrogram; `step` is pure, and chunk sizes do not change a bit of the output."""

    def initial_state(self) -> FeatureState:
        """Before the first sample."""
        return FeatureState(np.zeros((0, WRISTS, ELECTRODES), np.float32), np.zeros((0, WRISTS), np.bool_))

    def step(self, state: FeatureState, emg: Float32, valid: Bool) -> tuple[FeatureState, Frames]:
        """Take (T, W, E) filtered samples and (T, W) validity; give the frames that are complete."""
        emg = np.concatenate([state.emg, emg])
        valid = np.concatenate([state.valid, valid])
        count = max(0, (len(emg) - N_FFT) // HOP + 1)
        rest = FeatureState(emg[count * HOP :].copy(), valid[count * HOP :].copy())
        if count == 0:
            return rest, Frames(
                np.zeros((0, WRISTS, ELECTRODES, BINS), np.float32), np.zeros((0, WRISTS), np.bool_)
            )
        windows = np.lib.stride_tricks.sliding_window_view(emg, N_FFT, axis=0)[::HOP]  # (T, W, E, 64)
        per_window = np.lib.stride_tricks.sliding_window_view(valid, N_FFT, axis=0)[::HOP]  # (T, W, 64)
        complete = np.logical_and.reduce(per_window, axis=-1)
        values = np.empty((count, WRISTS, ELECTRODES, BINS), np.float32)
        for start in range(0, count, 1024):  # bounds the float64 scratch of a whole session
            values[start : start + 1024] = _log_power(windows[start : start + 1024])
        return rest, Frames(values, complete)


def _log_power(windows: Float32) -> Float32:
    spectrum = np.fft.rfft(windows.astype(np.float64) * HANN, axis=-1)  # (T, W, E, F)
    power = (spectrum.real**2 + spectrum.imag**2) / np.sum(HANN**2)
    return np.log10(power + POWER_FLOOR).astype(np.float32)
