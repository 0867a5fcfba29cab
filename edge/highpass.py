"""The causal 40 Hz high-pass: raw bands carry offset and movement, the reference's recordings do not.

A second-order Butterworth section run in blocks: within a block of n samples the output is one matrix
product, y = H x + O s, which is the recursion written out (H the impulse response as a lower triangular
Toeplitz matrix, O how the two state variables ring on). float64 inside; chunk
sizes change the output by rounding only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32, Float64

CUTOFF_HZ: Final = 40.0  # below lie motion and offset; emg2qwerty's recordings were cut at the same place
_BLOCK: Final = 64  # samples; the product costs BLOCK multiplies a sample, a call costs about as much as 64


class HighPassState(NamedTuple):
    """What the filter remembers: s (2, W, E), microvolts."""

    s: Float64


def butterworth(cutoff_hz: float, rate_hz: float) -> tuple[Float64, Float64]:
    """Second-order Butterworth high-pass by the bilinear transform: (b, a), each (3,), a[0] = 1."""
    k = math.tan(math.pi * cutoff_hz / rate_hz)
    norm = 1.0 / (1.0 + math.sqrt(2.0) * k + k * k)
    b = np.array([norm, -2.0 * norm, norm])
    a = np.array([1.0, 2.0 * (k * k - 1.0) * norm, (1.0 - math.sqrt(2.0) * k + k * k) * norm])
    return b, a


@dataclass(frozen=True)
class HighPass:
    """A streaming high-pass; `step` is pure."""

    cutoff_hz: float = CUTOFF_HZ
    rate_hz: float = RATE_HZ
    _toeplitz: Float64 = field(init=False, repr=False, compare=False)
    _ring: Float64 = field(init=False, repr=False, compare=False)
    _reach: Float64 = field(init=False, repr=False, compare=False)
    _powers: Float64 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        b, a = butterworth(self.cutoff_hz, self.rate_hz)
        # Direct form II transposed: s' = A s + g x, y = s[0] + b[0] x
        transition = np.array([[-a[1], 1.0], [-a[2], 0.0]])
        g = np.array([b[1] - a[1] * b[0], b[2] - a[2] * b[0]])
        powers = np.stack([np.linalg.matrix_power(transition, n) for n in range(_BLOCK + 1)])
        reach = powers[:_BLOCK] @ g  # (n, 2): what an input does to the state n samples after the next
        impulse = np.concatenate([[b[0]], reach[: _BLOCK - 1, 0]])
        lag = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
        object.__setattr__(self, "_toeplitz", np.where(lag >= 0, impulse[np.maximum(lag, 0)], 0.0))
        object.__setattr__(self, "_ring", powers[:_BLOCK, 0])  # (n, 2)
        object.__setattr__(self, "_reach", reach)
        object.__setattr__(self, "_powers", powers)

    def initial_state(self, first_uv: Float32 | None = None) -> HighPassState:
        """Rest at zero, or at the constant `first_uv` (W, E), so that an offset does not ring."""
        if first_uv is None:
            return HighPassState(np.zeros((2, WRISTS, ELECTRODES)))
        b, _ = butterworth(self.cutoff_hz, self.rate_hz)
        # At a constant input x the output is 0: s[0] = -b0 x, s[1] = b2 x.
        held = first_uv.astype(np.float64)
        return HighPassState(np.stack([-b[0] * held, b[2] * held]))

    def step(self, state: HighPassState, emg_uv: Float32) -> tuple[HighPassState, Float32]:
        """Filter (T, W, E) microvolts; any T, zero included."""
        out = np.empty(emg_uv.shape, np.float32)
        s = state.s.reshape(2, -1)  # (2, W*E)
        x = emg_uv.reshape(len(emg_uv), s.shape[1]).astype(np.float64)  # (T, W*E)
        flat = out.reshape(x.shape)
        for start in range(0, len(x), _BLOCK):
            block = x[start : start + _BLOCK]
            n = len(block)
            flat[start : start + n] = self._toeplitz[:n, :n] @ block + self._ring[:n] @ s
            s = self._powers[n] @ s + self._reach[:n][::-1].T @ block
        return HighPassState(s.reshape(state.s.shape)), out
