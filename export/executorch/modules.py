"""A NetworkSpec as torch modules in the form that ExecuTorch lowers well.

One batchless chunk. Letters: T time, W wrist, E electrode, F bin, D and H features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from export.executorch.front_end import FrontEnd
from export.executorch.loops import Loop
from export.executorch.recurrent import BiLstm, SkipLstm
from export.executorch.stage import Stage, TensorState, layer_norm_of, linear_of
from personalize import spec


class Chunk(nn.Module):
    """The whole network: forward(frames, *state) or (samples, valid, *state) -> (log_probs, *new state)."""

    def __init__(self, network: spec.NetworkSpec) -> None:
        super().__init__()
        first, layers = network.layers[0], network.layers
        self.front = FrontEnd(first) if isinstance(first, spec.FrontEnd) else None
        self.stages = nn.ModuleList(stage_of(layer) for layer in layers[self.front is not None :])

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """One call: its input and the state before it -> (T / stride, K) log-probabilities, state after."""
        x, *state = inputs
        after: list[Tensor] = []
        if self.front is not None:
            valid, *state = state
            x, new = self.front(x, valid, state[: self.front.held])
            after += new
        for stage in self.stages:
            assert isinstance(stage, Stage)  # noqa: S101  (for mypy: ModuleList forgets what it holds)
            x, new = stage(x, tuple(state[len(after) : len(after) + stage.held]))
            after += new
        return x, *after

    def loops(self) -> Sequence[Loop]:
        """The recurrences, in order."""
        return [module for module in self.modules() if isinstance(module, Loop)]


def stage_of(layer: spec.Layer) -> Stage:  # noqa: C901  (one case a layer)
    """The module that computes `layer`."""
    match layer:
        case spec.ElectrodeAffine():
            return _Affine(layer)
        case spec.PoolTime(stride):
            return _PoolTime(stride)
        case spec.BandLinear():
            return _BandLinear(layer)
        case spec.LayerNorm():
            return _Pointwise(layer_norm_of(layer))
        case spec.CausalConv():
            return _CausalConv(layer)
        case spec.TdsConv():
            return _TdsConv(layer)
        case spec.SkipLstm():
            return SkipLstm(layer)
        case spec.BiLstm():
            return BiLstm(layer)
        case spec.DropTail(rows):
            return _DropTail(rows)
        case spec.ResidualMlp():
            return _ResidualMlp(layer)
        case spec.Linear(weight, bias):
            return _Pointwise(linear_of(weight, bias))
        case spec.LogSoftmax():
            return _Pointwise(nn.LogSoftmax(-1))
        case spec.FrontEnd():
            raise TypeError("a FrontEnd is the first layer of a network and no other")
        case _:
            assert_never(layer)


class _Pointwise(Stage):
    """A torch module that maps each row alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return self.module(x), ()


class _DropTail(Stage):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return x[: x.shape[0] - self.rows], ()


class _Affine(Stage):
    scale: Tensor
    shift: Tensor

    def __init__(self, layer: spec.ElectrodeAffine) -> None:
        super().__init__()
        self.register_buffer("scale", torch.from_numpy(layer.scale)[..., None].clone())  # (W, E, 1)
        self.register_buffer("shift", torch.from_numpy(layer.shift)[..., None].clone())

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return x * self.scale + self.shift, ()


class _PoolTime(Stage):
    """The mean as a sum of slices: XNNPACK has no mean over rows, and the portable one is 30 times slower."""

    share: Tensor

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("share", torch.tensor([1 / stride], dtype=torch.float32))

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        rows = x.reshape(x.shape[0] // self.stride, -1)  # (T / stride, stride * W * E * F)
        return (_summed(rows, self.stride) * self.share).reshape(-1, *x.shape[1:]), ()


class _BandLinear(Stage):
    """The mean over rotations is folded into the weights: ReLU(y) / R = ReLU(y / R)."""

    def __init__(self, layer: spec.BandLinear) -> None:
        super().__init__()
        self.offsets = layer.offsets
        turns = len(layer.offsets)
        self.wrists = nn.ModuleList(
            linear_of(weight.reshape(len(weight), -1) / turns, bias / turns)
            for weight, bias in zip(layer.weight, layer.bias, strict=True)
        )

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        time = x.shape[0]
        outputs = []
        for wrist, linear in enumerate(self.wrists):
            band = x[:, wrist : wrist + 1].reshape(time, -1)  # (T, E * F)
            turns = [_roll(band, x.shape[2], offset) for offset in self.offsets]
            y = F.relu(linear(torch.cat(turns) if len(turns) > 1 else turns[0]))  # (R * T, H)
            turned = [y[n * time : (n + 1) * time] for n in range(len(self.offsets))]
            outputs.append(sum(turned[1:], turned[0]))
        return torch.cat(outputs, 1), ()


class _CausalConv(Stage):
    """As one Linear over the kernel's rows side by side, which XNNPACK also has in dynamic int8."""

    held = 1  # the last kernel - 1 rows

    def __init__(self, layer: spec.CausalConv) -> None:
        super().__init__()
        width, _, self.kernel = layer.weight.shape
        self.conv = linear_of(layer.weight.transpose(0, 2, 1).reshape(width, -1), layer.bias)
        self.norm = layer_norm_of(layer.norm)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        time = x.shape[0]
        extended = torch.cat([state[0], x])  # (k - 1 + T, D)
        taps = torch.cat([extended[k : k + time] for k in range(self.kernel)], 1)  # (T, k * D)
        return self.norm(x + F.relu(self.conv(taps))), (extended[time:].clone(),)


class _TdsConv(Stage):
    held = 1  # the last kernel - 1 rows

    def __init__(self, layer: spec.TdsConv) -> None:
        super().__init__()
        self.channels, _, kernel = layer.weight.shape
        self.conv = nn.Conv2d(self.channels, self.channels, (1, kernel))
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        self.conv.load_state_dict({"weight": weight[:, :, None], "bias": bias})
        self.norm = layer_norm_of(layer.norm)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        time, width = x.shape
        extended = torch.cat([state[0], x])  # (k - 1 + T, D)
        planes = extended.reshape(1, -1, self.channels, width // self.channels).permute(0, 2, 3, 1)
        y = F.relu(self.conv(planes))  # (1, C, columns, T)
        rows = y.permute(0, 3, 1, 2).reshape(time, width)
        return self.norm(x + rows), (extended[time:].clone(),)


class _ResidualMlp(Stage):
    def __init__(self, layer: spec.ResidualMlp) -> None:
        super().__init__()
        self.inner, self.outer = linear_of(layer.w1, layer.b1), linear_of(layer.w2, layer.b2)
        self.norm = layer_norm_of(layer.norm)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return self.norm(x + self.outer(F.relu(self.inner(x)))), ()


def _roll(band: Tensor, electrodes: int, offset: int) -> Tensor:
    """The ring (T, E * F) rolled by `offset` electrodes, in operators that XNNPACK has."""
    cut = -offset % electrodes * (band.shape[1] // electrodes)
    return torch.cat([band[:, cut:], band[:, :cut]], 1) if cut else band


def _summed(rows: Tensor, parts: int) -> Tensor:
    """(T, parts * D) -> (T, D)."""
    width = rows.shape[1] // parts
    pieces = [rows[:, n * width : (n + 1) * width] for n in range(parts)]
    return sum(pieces[1:], pieces[0])
