"""A NetworkSpec as torch modules in the form that ExecuTorch lowers well.

One batchless chunk: (T, W, E, F) frames. LSTMs are one cell under `scan`, because torch.export unrolls
nn.LSTM into hundreds of nodes a frame. Letters: T time, W wrist, E electrode, F bin, D and H features,
N directions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import assert_never

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from edge.errors import BadInput
from edge.samples import Float32
from personalize import spec

TensorState = tuple[Tensor, ...]


class Stage(nn.Module, ABC):
    """One layer: takes its own state tensors, gives their new values."""

    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the state tensors; none unless a layer says so."""
        return ()

    @abstractmethod
    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(T, ...) and state -> (T', ...) and new state."""


class Chunk(nn.Module):
    """The whole network: forward(frames, *state) -> (log_probs, *new state)."""

    def __init__(self, network: spec.NetworkSpec) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stage_of(layer) for layer in network.layers)

    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of all state tensors, in order."""
        return tuple(shape for stage in self._stages() for shape in stage.state_shapes())

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """(T, W, E, F) frames and the state before them -> (T / stride, K) log-probabilities, state after."""
        x = frames
        after: list[Tensor] = []
        for stage in self._stages():
            start = len(after)
            x, new = stage(x, state[start : start + len(stage.state_shapes())])
            after += new
        return x, *after

    def _stages(self) -> Sequence[Stage]:
        return [stage for stage in self.stages if isinstance(stage, Stage)]


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
            return _Pointwise(_layer_norm(layer))
        case spec.CausalConv():
            return _CausalConv(layer)
        case spec.SkipLstm(cell):
            return _SkipLstm(cell)
        case spec.FrontEnd() | spec.TdsConv() | spec.DropTail() | spec.BiLstm(lookahead=int()):
            raise BadInput(
                f"a layer of kind {type(layer).__name__} cannot be lowered to .pte by this version"
            )
        case spec.BiLstm():
            return _BiLstm(layer)
        case spec.ResidualMlp():
            return _ResidualMlp(layer)
        case spec.Linear(weight, bias):
            return _Pointwise(_linear(weight, bias))
        case spec.LogSoftmax():
            return _Pointwise(nn.LogSoftmax(-1))
        case _:
            assert_never(layer)


class _Pointwise(Stage):
    """A torch module that maps each row alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return self.module(x), ()


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
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        pairs = x.reshape(x.shape[0] // self.stride, self.stride, -1).mean(1)  # (T / stride, W * E * F)
        return pairs.reshape(-1, *x.shape[1:]), ()


class _BandLinear(Stage):
    def __init__(self, layer: spec.BandLinear) -> None:
        super().__init__()
        self.offsets = layer.offsets
        self.wrists = nn.ModuleList(
            _linear(weight.reshape(len(weight), -1), bias)
            for weight, bias in zip(layer.weight, layer.bias, strict=True)
        )

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        time = x.shape[0]
        outputs = []
        for wrist, linear in enumerate(self.wrists):
            band = x[:, wrist]  # (T, E, F)
            rows = torch.cat(
                [_roll(band, offset).reshape(time, -1) for offset in self.offsets]
            )  # (R * T, E * F)
            y = F.relu(linear(rows))
            outputs.append(y.reshape(len(self.offsets), time, -1).mean(0))
        return torch.cat(outputs, 1), ()


class _CausalConv(Stage):
    def __init__(self, layer: spec.CausalConv) -> None:
        super().__init__()
        width, _, self.kernel = layer.weight.shape
        self.conv = nn.Conv1d(width, width, self.kernel)
        _fill(self.conv, layer.weight, layer.bias)
        self.norm = _layer_norm(layer.norm)

    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.kernel - 1, self.conv.in_channels),)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        extended = torch.cat([state[0], x])  # (k - 1 + T, D)
        y = F.relu(self.conv(extended.t()[None])[0].t())
        return self.norm(x + y), (extended[x.shape[0] :].clone(),)


class _Recurrence(nn.Module):
    """N LSTM directions side by side, each over its own sequence, in one scan."""

    def __init__(self, cells: Sequence[spec.LstmCell]) -> None:
        super().__init__()
        self.directions, self.hidden = len(cells), cells[0].recurrent.shape[1]
        self.input = _linear(
            *(
                torch.cat([torch.from_numpy(getattr(cell, name)) for cell in cells]).numpy()
                for name in ("input", "bias")
            )
        )
        recurrent = torch.stack([torch.from_numpy(cell.recurrent).t() for cell in cells])
        self.recurrent = nn.Parameter(recurrent.contiguous())  # (N, H, 4H)

    def from_input(self, x: Tensor) -> Tensor:
        """(T, D) -> the input's part of the gates, (T, N, 1, 4H)."""
        gates: Tensor = self.input(x).reshape(-1, self.directions, 1, 4 * self.hidden)
        return gates

    def forward(self, gates: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gates (T, N, 1, 4H), h and c (N, 1, H) -> outputs (T, N, H), h, c after the last step."""

        def step(carry: list[Tensor], gate: Tensor) -> tuple[list[Tensor], Tensor]:
            h, c = carry
            i, f, g, o = (gate + torch.bmm(h, self.recurrent)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            return [h, c], h.clone()

        (h, c), outputs = scan(step, [h, c], gates)
        return outputs.reshape(-1, self.directions, self.hidden), h, c


class _SkipLstm(Stage):
    def __init__(self, cell: spec.LstmCell) -> None:
        super().__init__()
        self.lstm = _Recurrence([cell])

    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.lstm.hidden,),) * 2  # h and c

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        h, c = (part.reshape(1, 1, -1) for part in state)
        y, h, c = self.lstm(self.lstm.from_input(x), h, c)
        return torch.cat([y[:, 0], x], 1), (h.reshape(-1), c.reshape(-1))


class _BiLstm(Stage):
    """A whole window: both directions start from zero."""

    def __init__(self, layer: spec.BiLstm) -> None:
        super().__init__()
        self.lstm = _Recurrence([layer.forward, layer.backward])

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        gates = self.lstm.from_input(x)  # (T, 2, 1, 4H)
        gates = torch.stack([gates[:, 0], gates[:, 1].flip(0)], 1)
        zeros = gates.new_zeros(2, 1, self.lstm.hidden)
        y, _, _ = self.lstm(gates, zeros, zeros.clone())
        return torch.cat([y[:, 0], y[:, 1].flip(0)], 1), ()


class _ResidualMlp(Stage):
    def __init__(self, layer: spec.ResidualMlp) -> None:
        super().__init__()
        self.inner, self.outer = _linear(layer.w1, layer.b1), _linear(layer.w2, layer.b2)
        self.norm = _layer_norm(layer.norm)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        return self.norm(x + self.outer(F.relu(self.inner(x)))), ()


def _roll(band: Tensor, offset: int) -> Tensor:
    """The ring (T, E, F) rolled by `offset` electrodes, in operators that every backend has."""
    cut = -offset % band.shape[1]
    return torch.cat([band[:, cut:], band[:, :cut]], 1) if cut else band


def _linear(weight: Float32, bias: Float32) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    _fill(linear, weight, bias)
    return linear


def _layer_norm(layer: spec.LayerNorm) -> nn.LayerNorm:
    norm = nn.LayerNorm(len(layer.gamma), layer.eps)
    _fill(norm, layer.gamma, layer.beta)
    return norm


def _fill(module: nn.Linear | nn.Conv1d | nn.LayerNorm, weight: Float32, bias: Float32) -> None:
    module.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
