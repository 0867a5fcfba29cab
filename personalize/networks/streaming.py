"""The live networks: causal, recurrence at 62.5 Hz, all of their memory in an explicit state.

Frames are averaged in pairs, pass the circular spatial front (one composed linear map a wrist), two causal
residual convolutions and one LSTM whose output stands beside its input at the classifier. It looks at no
future frame; it is trained to say a key `label_delay` frames after the press, which is its whole lookahead.
`streaming` is for desks and phones, `micro` the same in widths that a microcontroller holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from edge.charset import CHARSET
from edge.features import BINS
from edge.samples import WRISTS
from personalize import spec
from personalize.networks.base import Network, TensorState
from personalize.networks.blocks import (
    BandMlp,
    CircularSpatialConv,
    linear_spec,
    lstm_spec,
    norm_spec,
    to_numpy,
)

STRIDE = 2  # 125 -> 62.5 Hz: published ablations and ours agree that recurrence below 125 Hz reads better
SPATIAL_FEATURES = 32
LABEL_DELAY = 12  # frames of 8 ms: 96 ms, the part of a press's activity that comes after the key is down
BLANK_BIAS = 2.0  # most emissions are blank; starting there shortens the plateau of CTC


class Widths(NamedTuple):
    """What sets the size of a network of this family."""

    band: int  # features a wrist
    kernel: int  # emissions of 16 ms that a convolution sees
    hidden: int  # of the LSTM


# 9 emissions are 144 ms a convolution, about one keystroke.
STREAMING: Final = Widths(band=96, kernel=9, hidden=96)
# 0.3 million weights. A kernel of 9 at width 48 costs 14 thousand more; which reads better was not settled
# (the two were taught at different temperatures), so the smaller file was kept.
MICRO: Final = Widths(band=36, kernel=17, hidden=96)


class CausalConv(nn.Module):
    """LayerNorm(x + ReLU(conv(x))) over the present and the last kernel - 1 inputs, which are its state."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) and the past (B, kernel - 1, D) -> (B, T, D) and the new past."""
        extended = torch.cat([past, x], 1)
        y = F.relu(self.conv(extended.transpose(1, 2))).transpose(1, 2)
        return self.norm(x + y), extended[:, x.shape[1] :]

    def spec(self) -> spec.CausalConv:
        """The same as arrays."""
        assert self.conv.bias is not None
        return spec.CausalConv(to_numpy(self.conv.weight), to_numpy(self.conv.bias), norm_spec(self.norm))


class Streaming(Network):
    """A network that types live, of any `widths`; the name is the checkpoint's."""

    frame_input = "normalized"
    left_context = 0
    lookahead = 0
    stride = STRIDE
    state_names: tuple[str, ...] = ("past_1", "past_2", "h_1", "c_1")

    def __init__(
        self,
        name: str = "streaming",
        widths: Widths = STREAMING,
        *,
        dropout: float = 0.1,
        bands: Sequence[int] = (),
        label_delay: int = LABEL_DELAY,
    ) -> None:
        super().__init__()
        self.name = name
        self.widths = widths
        self.label_delay = label_delay
        width = WRISTS * widths.band
        self.front = BandMlp(BINS, widths.band, (0,), CircularSpatialConv(BINS, SPATIAL_FEATURES, bands))
        self.norm = nn.LayerNorm(width)
        self.convs = nn.ModuleList(CausalConv(width, widths.kernel) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, widths.hidden, batch_first=True)
        self.head = nn.Linear(widths.hidden + width, CHARSET.num_classes)
        with torch.no_grad():
            self.head.bias[CHARSET.blank] = BLANK_BIAS

    def initial_state(self, batch: int) -> TensorState:
        """Zeros: the pasts of the two convolutions (B, kernel - 1, D), then h and c (B, H)."""
        new_zeros, (band, kernel, hidden) = self.head.weight.new_zeros, self.widths
        past = [new_zeros(batch, kernel - 1, WRISTS * band) for _ in self.convs]
        return (*past, new_zeros(batch, hidden), new_zeros(batch, hidden))

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F), T even -> (B, T / 2, K)."""
        batch, time, *rest = frames.shape
        pairs = frames.reshape(batch, time // STRIDE, STRIDE, *rest).mean(2)  # (B, T/2, W, E, F)
        x = self.dropout(self.norm(self.front(pairs)))
        pasts = []
        for conv, past in zip(self.convs, state, strict=False):
            x, new_past = conv(x, past)
            pasts.append(new_past)
        h, c = state[-2:]
        y, (h, c) = self.lstm(self.dropout(x), (h.unsqueeze(0), c.unsqueeze(0)))
        log_probs = F.log_softmax(self.head(torch.cat([self.dropout(y), x], -1)), -1)
        return log_probs, (*pasts, h.squeeze(0), c.squeeze(0))

    def spec(self) -> spec.NetworkSpec:
        """The layers in order."""
        convs = [conv.spec() for conv in self.convs if isinstance(conv, CausalConv)]
        return spec.NetworkSpec(
            self.name,
            (
                spec.PoolTime(STRIDE),
                self.front.spec(),
                norm_spec(self.norm),
                *convs,
                spec.SkipLstm(lstm_spec(self.lstm)),
                linear_spec(self.head),
                spec.LogSoftmax(),
            ),
            self.stride,
        )
