"""The front end in the graph: raw samples to the network's input, as personalize.spec.FrontEnd says.

Matrix products with constants are written `@`, not as Linear: dynamic quantizing then leaves them alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edge.features import BINS, HOP, N_FFT
from edge.samples import ELECTRODES, WRISTS, Float32
from export.executorch.loops import Body, Loop
from export.executorch.stage import TensorState
from personalize import spec

_CHANNELS = WRISTS * ELECTRODES
_HOPS_A_FRAME = N_FFT // HOP


class _HopFilter(Body):
    """State (C, 2) and a hop of samples (C, 16) -> state, filtered hop."""

    like = (0, 1)
    matrix: Tensor

    def __init__(self, hop_filter: Float32) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.from_numpy(hop_filter).t().contiguous())  # (18, 18)

    def example(self) -> tuple[Tensor, ...]:
        """The state and a hop."""
        return torch.zeros(_CHANNELS, 2), torch.zeros(_CHANNELS, HOP)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        s, x = inputs
        both = torch.cat([x, s], 1) @ self.matrix
        return both[:, HOP:], both[:, :HOP]


class _FollowNorm(Body):
    """Mean, variance (W, E * F), weight (W, 1), a frame and its validity (W, 1) -> the three, the frame."""

    like = (0, 1, 2, 3)

    def __init__(self, start: spec.NormStart) -> None:
        super().__init__()
        self.horizon, self.floor = start.horizon_frames, start.variance_floor

    def example(self) -> tuple[Tensor, ...]:
        """Mean, variance, weight, a frame, its validity."""
        flat, each = (WRISTS, ELECTRODES * BINS), (WRISTS, 1)
        return tuple(torch.zeros(shape) for shape in (flat, flat, each, flat, each))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        mean, variance, weight, y, valid = inputs
        weight = (weight + valid).clamp(max=self.horizon)
        share = valid / weight
        before = y - mean
        mean = mean + share * before
        rest = y - mean
        variance = variance + share * (before * rest - variance)
        return mean, variance, weight, valid * rest / torch.sqrt(variance.clamp(min=self.floor))


class _Norm(nn.Module):
    """The running normalisation, its state relative to where it starts."""

    held = 3
    mean: Tensor
    variance: Tensor
    weight: Tensor

    def __init__(self, start: spec.NormStart, lookahead: int) -> None:
        super().__init__()
        self.lookahead = lookahead
        self.register_buffer("mean", torch.from_numpy(start.mean).reshape(WRISTS, -1))
        self.register_buffer("variance", torch.from_numpy(start.variance).reshape(WRISTS, -1))
        self.register_buffer("weight", torch.full((WRISTS, 1), start.prior_frames))
        self.loop = Loop(_FollowNorm(start), carried=3)

    def forward(self, y: Tensor, valid: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(T, W, E * F) log power, (T, W) validity -> the same normalised, state after T - lookahead."""
        starts = (self.mean, self.variance, self.weight)
        carry = [part.reshape(WRISTS, -1) + start for part, start in zip(state, starts, strict=True)]
        after, (out,) = self.loop(carry, [y, valid[..., None]], y.shape[0] - self.lookahead)
        relative = (part - start for part, start in zip(after, starts, strict=True))
        return out, tuple(part.reshape(held.shape) for part, held in zip(relative, state, strict=True))


class FrontEnd(nn.Module):
    """Samples (N, W, E) and validity (T, W) -> (T, W, E, F); state as personalize.spec lists it."""

    basis: Tensor
    scale: Tensor
    floor: Tensor
    log_10: Tensor

    def __init__(self, layer: spec.FrontEnd) -> None:
        super().__init__()
        self.lookahead = layer.lookahead
        self.filter = Loop(_HopFilter(layer.hop_filter), carried=1)
        self.norm = None if layer.norm is None else _Norm(layer.norm, layer.lookahead)
        self.held = 1 if layer.norm is None else 1 + _Norm.held
        self.register_buffer("basis", torch.from_numpy(layer.basis).t().contiguous())  # (64, 66)
        self.register_buffer("scale", torch.tensor([layer.uv_per_lsb or 1.0], dtype=torch.float32))
        self.register_buffer("floor", torch.tensor([layer.floor], dtype=torch.float32))
        self.register_buffer("log_10", torch.tensor([1 / math.log(10)], dtype=torch.float32))

    def forward(self, samples: Tensor, valid: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(N, W, E) samples, (T, W) validity -> (T, W, E, F) and the state after T - lookahead frames."""
        time = valid.shape[0]
        hops = samples.to(torch.float32).reshape(-1, HOP, _CHANNELS) * self.scale
        carry = [state[0].reshape(2, _CHANNELS).t()]  # (C, 2)
        (s,), (y,) = self.filter(carry, [hops.permute(0, 2, 1)], time - self.lookahead)  # y (hops, C, 16)
        filtered = s.t().reshape(state[0].shape)
        power = self._log_power(y, time).reshape(time, WRISTS, -1)
        if self.norm is None:
            values, after = power * valid[..., None], ()
        else:
            values, after = self.norm(power, valid, state[1:])
        return values.reshape(time, WRISTS, ELECTRODES, BINS), (filtered, *after)

    def _log_power(self, hops: Tensor, time: int) -> Tensor:
        """Filtered hops (T + 3, C, 16) -> (T, C, F)."""
        windows = torch.cat([hops[i : i + time] for i in range(_HOPS_A_FRAME)], 2)  # (T, C, 64)
        spectrum = windows.reshape(-1, N_FFT) @ self.basis  # (T * C, 66)
        re, im = spectrum[:, :BINS], spectrum[:, BINS:]
        return torch.log(re * re + im * im + self.floor) * self.log_10
