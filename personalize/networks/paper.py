"""The three networks of the seed paper (sections 2.2.1 to 2.2.3), re-implemented from their shapes.

5,293,315, 5,285,219 and 2,909,187 parameters exactly. They see un-normalised log power: their first layer
is a batch norm. The temporal convolutions are not padded: they consume 124 frames.
"""

from __future__ import annotations

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
    ResidualMlp,
    SpectrogramNorm,
    linear_spec,
    lstm_spec,
    norm_spec,
    to_numpy,
)

SPATIAL_FEATURES = 32
MLP_FEATURES = 384  # a wrist; 768 for both
ROTATIONS = (-1, 0, 1)  # electrodes
TDS_CHANNELS, TDS_WIDTH = 24, 32  # 24 x 32 = 768
TDS_KERNEL, TDS_BLOCKS = 32, 4  # frames; 4 blocks consume 4 x 31 = 124
TDS_DELAY = 12  # frames: its windows reach 0.1 s past the last label, which is all of the future it sees
LSTM_HIDDEN, LSTM_LAYERS = 128, 4


class TdsBlock(nn.Module):
    """A time-depth separable block (Hannun et al. 2019): consumes kernel - 1 frames of the past."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(TDS_CHANNELS, TDS_CHANNELS, (1, TDS_KERNEL))
        self.norm = nn.LayerNorm(TDS_CHANNELS * TDS_WIDTH)
        self.mlp = ResidualMlp(TDS_CHANNELS * TDS_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T - kernel + 1, D)."""
        planes = x.transpose(1, 2).reshape(len(x), TDS_CHANNELS, TDS_WIDTH, -1)  # (B, channel, width, T)
        y = F.relu(self.conv(planes)).flatten(1, 2).transpose(1, 2)  # (B, T', D)
        out: Tensor = self.mlp(self.norm(y + x[:, -y.shape[1] :]))
        return out

    def spec(self) -> tuple[spec.TdsConv, spec.ResidualMlp]:
        """The convolution and the fully connected part."""
        assert self.conv.bias is not None
        weight = to_numpy(self.conv.weight)[:, :, 0]  # (C, C, k)
        return spec.TdsConv(weight, to_numpy(self.conv.bias), norm_spec(self.norm)), self.mlp.spec()


class Tds(Network):
    """The paper's baseline, and with `spatial` its temporal + spatial hybrid."""

    frame_input = "log_power"
    left_context = TDS_BLOCKS * (TDS_KERNEL - 1)
    lookahead = 0
    stride = 1
    label_delay = TDS_DELAY

    def __init__(self, *, spatial: bool) -> None:
        super().__init__()
        self.name = "tds_spatial" if spatial else "tds"
        self.norm = SpectrogramNorm()
        module = CircularSpatialConv(BINS, SPATIAL_FEATURES) if spatial else None
        self.front = BandMlp(BINS, MLP_FEATURES, ROTATIONS, module)
        self.blocks = nn.Sequential(*(TdsBlock() for _ in range(TDS_BLOCKS)))
        self.head = nn.Linear(WRISTS * MLP_FEATURES, CHARSET.num_classes)

    def initial_state(self, batch: int) -> TensorState:
        """No state: the receptive field is consumed from the window."""
        return ()

    def forward(self, frames: Tensor, state: TensorState = ()) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F) -> (B, T - 124, K)."""
        return F.log_softmax(self.head(self.blocks(self.front(self.norm(frames)))), -1), state

    def spec(self) -> spec.NetworkSpec:
        """The layers, whose convolutions carry their past instead of consuming it."""
        layers: list[spec.Layer] = [self.norm.spec(), self.front.spec()]
        for block in self.blocks:
            assert isinstance(block, TdsBlock)
            layers += block.spec()
        layers += [linear_spec(self.head), spec.LogSoftmax()]
        return spec.NetworkSpec(self.name, tuple(layers), self.stride)


class SpatialLstm(Network):
    """The paper's best: circular spatial CNN, then a 4-layer bidirectional LSTM over the window."""

    name = "spatial_lstm"
    frame_input = "log_power"
    left_context = 0
    lookahead = 0
    stride = 1
    bidirectional = True

    def __init__(self) -> None:
        super().__init__()
        self.norm = SpectrogramNorm()
        self.front = BandMlp(BINS, MLP_FEATURES, ROTATIONS, CircularSpatialConv(BINS, SPATIAL_FEATURES))
        width = WRISTS * MLP_FEATURES
        self.lstm = nn.LSTM(width, LSTM_HIDDEN, LSTM_LAYERS, batch_first=True, bidirectional=True)
        self.mlp = ResidualMlp(2 * LSTM_HIDDEN)
        self.widen = nn.Linear(2 * LSTM_HIDDEN, width)
        self.head = nn.Linear(width, CHARSET.num_classes)

    def initial_state(self, batch: int) -> TensorState:
        """No state: each window stands alone."""
        return ()

    def forward(self, frames: Tensor, state: TensorState = ()) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F) -> (B, T, K)."""
        x = self.mlp(self.lstm(self.front(self.norm(frames)))[0])
        return F.log_softmax(F.linear(x, *self.classifier()), -1), state

    def classifier(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the two last linear maps multiplied out: nothing stands between them."""
        weight = self.head.weight @ self.widen.weight
        return weight, self.head.weight @ self.widen.bias + self.head.bias

    def spec(self) -> spec.NetworkSpec:
        """The layers, as `forward` runs them."""
        layers: list[spec.Layer] = [self.norm.spec(), self.front.spec()]
        for layer in range(LSTM_LAYERS):
            layers.append(spec.BiLstm(lstm_spec(self.lstm, layer), lstm_spec(self.lstm, layer, reverse=True)))
        weight, bias = self.classifier()
        layers += [self.mlp.spec(), spec.Linear(to_numpy(weight), to_numpy(bias)), spec.LogSoftmax()]
        return spec.NetworkSpec(self.name, tuple(layers), self.stride)
