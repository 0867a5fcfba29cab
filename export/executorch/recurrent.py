"""LSTMs: the inputs' part of the gates as one matrix product, the rest as a loop over the cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from export.executorch.loops import Body, Loop
from export.executorch.stage import Stage, TensorState, linear_of
from personalize import spec


class Cell(Body):
    """N LSTM directions side by side: h, c (N, H) and each direction's gates (1, 4H) -> h, c."""

    like = (0, 1)

    def __init__(self, cells: Sequence[spec.LstmCell]) -> None:
        super().__init__()
        self.hidden = cells[0].recurrent.shape[1]
        self.recurrent = nn.ParameterList(torch.from_numpy(cell.recurrent) for cell in cells)

    def example(self) -> tuple[Tensor, ...]:
        """h, c and the gates of each direction."""
        count = len(self.recurrent)
        held = (torch.zeros(count, self.hidden) for _ in self.like)
        return (*held, *(torch.zeros(1, 4 * self.hidden) for _ in range(count)))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """N directions, each on its own gates."""
        h, c, *gates = inputs
        size = self.hidden
        rows = [gate + F.linear(h[n : n + 1], self.recurrent[n]) for n, gate in enumerate(gates)]
        z = torch.cat(rows) if len(rows) > 1 else rows[0]  # (N, 4H); XNNPACK leaves a cat of one to others
        open_ = torch.sigmoid(z)
        i, f, o = (open_[:, k * size : (k + 1) * size] for k in (0, 1, 3))
        c = f * c + i * torch.tanh(z[:, 2 * size : 3 * size])
        return o * torch.tanh(c), c


class SkipLstm(Stage):
    """concat(LSTM(x), x)."""

    held = 2  # h and c

    def __init__(self, layer: spec.SkipLstm) -> None:
        super().__init__()
        cell = layer.cell
        self.input = linear_of(cell.input, cell.bias)
        self.loop = Loop(Cell([cell]), carried=2)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(T, D) -> (T, H + D)."""
        gates = self.input(x)[:, None]  # (T, 1, 4H)
        (h, c), (y,) = self.loop([part[None] for part in state], [gates], x.shape[0])
        return torch.cat([y[:, 0], x], 1), (h[0], c[0])


class BiLstm(Stage):
    """concat(forward, backward); with a lookahead, the forward direction's state before it is carried."""

    def __init__(self, layer: spec.BiLstm) -> None:
        super().__init__()
        self.lookahead = layer.lookahead
        self.held = 0 if layer.lookahead is None else 2
        self.hidden = layer.forward.recurrent.shape[1]
        self.ahead = linear_of(layer.forward.input, layer.forward.bias)
        self.back = linear_of(layer.backward.input, layer.backward.bias)
        self.loop = Loop(Cell([layer.forward, layer.backward]), carried=2)

    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(T, D) -> (T, 2H), and the forward state after T - lookahead rows."""
        gates = [self.ahead(x)[:, None], _reversed(self.back(x))[:, None]]  # (T, 1, 4H)
        zeros = x.new_zeros(1, self.hidden)
        start = [torch.cat([part[None], zeros]) for part in state or (zeros[0], zeros[0])]  # (2, H)
        (h, c), (y,) = self.loop(start, gates, x.shape[0] - (self.lookahead or 0))  # y (T, 2, H)
        both = torch.cat([y[:, 0], _reversed(y[:, 1])], 1)
        return both, () if self.lookahead is None else (h[0].clone(), c[0].clone())


def _reversed(x: Tensor) -> Tensor:
    """The rows of (T, D), last first; ExecuTorch's index_select is 15 times as fast as its flip."""
    return x.index_select(0, torch.arange(x.shape[0] - 1, -1, -1))
