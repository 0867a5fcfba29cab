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

_ANGLE: Final[Float64] = 2 * np.pi * np.outer(np.arange(N_FFT), np.arange(BINS)) / N_FFT
_WINDOW: Final[Float64] = HANN[:, None] / np.sqrt(np.sum(HANN**2))
# (64, 66): from the samples of a window to its spectrum, cosines then sines
BASIS: Final[Float64] = np.concatenate([np.cos(_ANGLE) * _WINDOW, np.sin(_ANGLE) * _WINDOW], 1)
BASIS.setflags(write=False)

_MIDDLE: Final = N_FFT // 2
_COSINES: Final[Float64] = BASIS[1 : _MIDDLE + 1, :BINS].copy()  # (32, 33): even about the middle
_SINES: Final[Float64] = BASIS[1:_MIDDLE, BINS + 1 : -1].copy()  # (31, 31): odd, and 0 in the outer bins
_BLOCK_FRAMES: Final = 64  # half a second: 0.5 MB an array, so that a block's stay in a core's cache


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
        values = np.empty((count, WRISTS, ELECTRODES, BINS), np.float32)
        for start in range(0, count, _BLOCK_FRAMES):
            out = values[start : start + _BLOCK_FRAMES]
            _write_log_power(emg[start * HOP : (start + len(out) - 1) * HOP + N_FFT], out)
        missing = np.zeros((len(valid) + 1, WRISTS), np.int64)  # samples before each
        np.cumsum(~valid, axis=0, out=missing[1:])
        return rest, Frames(values, missing[N_FFT::HOP] == missing[:-N_FFT:HOP])


def _write_log_power(emg: Float32, out: Float32) -> None:
    """From the samples of T windows (16 T + 48, W, E) to (T, W, E, F), by matrix products in float64.

    Samples at the same distance from a window's middle meet the same cosines and opposite sines, and its
    first has no weight: their sums and differences need half the products. Each frame has products of its
    own, for their rounding depends on their shape, and must not on how many frames there are.
    """
    samples = emg.reshape(len(emg), WRISTS * ELECTRODES).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT, axis=0)[::HOP]  # (T, W*E, 64)
    first, second = windows[..., 1:_MIDDLE], windows[..., :_MIDDLE:-1]  # n and 64 - n
    sums = np.empty((len(out), _MIDDLE, samples.shape[1])).swapaxes(1, 2)  # laid out as the samples are
    np.add(first, second, out=sums[..., :-1])
    sums[..., -1] = windows[..., _MIDDLE]
    power = (sums @ _COSINES).astype(np.float32)  # (T, W*E, F)
    imaginary = ((first - second) @ _SINES).astype(np.float32)  # (T, W*E, F - 2)
    power *= power
    imaginary *= imaginary
    power[..., 1:-1] += imaginary
    power += np.float32(POWER_FLOOR)
    np.log10(power, out=out.reshape(power.shape))
