"""Networks that the ablation tries and the product does not have; their `spec` is for the desk alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.charset import CHARSET
from edge.samples import WRISTS
from personalize import spec
from personalize.networks import TensorState
from personalize.networks.blocks import linear_spec, lstm_spec, norm_spec
from personalize.networks.streaming import BLANK_BIAS, STRIDE, Streaming


class SymmetricConv(nn.Module):
    """CausalConv, seeing as many emissions after the present one as before it."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out: Tensor = self.norm(x + functional.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return out


class Offline(Streaming):
    """The same front under convolutions and an LSTM that read both ways: what causality costs."""

    bidirectional = True
    state_names = ()

    def __init__(self) -> None:
        super().__init__("offline")
        self.label_delay = 0  # what comes after a press is in sight without waiting
        width = WRISTS * self.widths.band
        self.convs = nn.ModuleList(SymmetricConv(width, self.widths.kernel) for _ in range(2))
        self.lstm = nn.LSTM(width, self.widths.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * self.widths.hidden + width, CHARSET.num_classes)
        with torch.no_grad():
            self.head.bias[CHARSET.blank] = BLANK_BIAS

    def initial_state(self, batch: int) -> TensorState:
        """None: each window stands alone."""
        return ()

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F), T even -> (B, T / 2, K)."""
        x = self.dropout(self.norm(self.front(_pairs(frames))))
        for conv in self.convs:
            x = conv(x)
        y, _ = self.lstm(self.dropout(x))
        return functional.log_softmax(self.head(torch.cat([self.dropout(y), x], -1)), -1), ()

    def spec(self) -> spec.NetworkSpec:
        """Without the convolutions: all that is asked of it is that nothing is carried."""
        both = spec.BiLstm(lstm_spec(self.lstm), lstm_spec(self.lstm, reverse=True))
        return _described(self, (both,))


class Recurrent(Streaming):
    """The live network with another recurrence: a GRU, or LSTMs one above the other."""

    def __init__(self, *, gru: bool = False, layers: int = 1) -> None:
        super().__init__("recurrent")
        width, hidden = WRISTS * self.widths.band, self.widths.hidden
        self.gru = gru
        del self.lstm
        kind: type[nn.GRU | nn.LSTM] = nn.GRU if gru else nn.LSTM
        self.recurrence = kind(width, hidden, layers, batch_first=True)

    def initial_state(self, batch: int) -> TensorState:
        """Zeros: the pasts of the convolutions, then h, and c of an LSTM, (B, layers, H)."""
        zeros = self.head.weight.new_zeros(batch, self.recurrence.num_layers, self.widths.hidden)
        return (*super().initial_state(batch)[:-2], *([zeros] if self.gru else [zeros, zeros]))

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F), T even -> (B, T / 2, K)."""
        x = self.dropout(self.norm(self.front(_pairs(frames))))
        pasts = []
        for conv, past in zip(self.convs, state, strict=False):
            x, new_past = conv(x, past)
            pasts.append(new_past)
        hidden = [tensor.transpose(0, 1).contiguous() for tensor in state[len(pasts) :]]  # (layers, B, H)
        y, after = self.recurrence(self.dropout(x), hidden[0] if self.gru else tuple(hidden))
        log_probs = functional.log_softmax(self.head(torch.cat([self.dropout(y), x], -1)), -1)
        carried = (after,) if self.gru else after
        return log_probs, (*pasts, *(tensor.transpose(0, 1) for tensor in carried))

    def spec(self) -> spec.NetworkSpec:
        """Without convolutions and recurrence, whose state the desk takes from the network itself."""
        return _described(self, ())


def _pairs(frames: Tensor) -> Tensor:
    batch, time, *rest = frames.shape
    return frames.reshape(batch, time // STRIDE, STRIDE, *rest).mean(2)  # (B, T/2, W, E, F)


def _described(network: Streaming, between: tuple[spec.Layer, ...]) -> spec.NetworkSpec:
    layers = (
        spec.PoolTime(STRIDE),
        network.front.spec(),
        norm_spec(network.norm),
        *between,
        linear_spec(network.head),
        spec.LogSoftmax(),
    )
    return spec.NetworkSpec(network.name, layers, network.stride)
