"""A trained network as layers and NumPy arrays: what an exporter needs to lower it without torch.

Each layer maps (T, D) to (T', D'); the input is (T, W, E, F) frames. All arrays are float32.
"""

from __future__ import annotations

from typing import NamedTuple

from edge.samples import Float32


class ElectrodeAffine(NamedTuple):
    """x * scale + shift for each wrist and electrode (a folded batch norm): scale, shift (W, E)."""

    scale: Float32
    shift: Float32


class PoolTime(NamedTuple):
    """Mean over `stride` consecutive frames: T -> T // stride."""

    stride: int


class BandLinear(NamedTuple):
    """Each wrist through its own linear map and ReLU, concatenated: (T, W, E, F) -> (T, W * H).

    weight (W, H, E, F), bias (W, H). With `offsets` other than (0,), the map is applied to the ring of
    electrodes rolled by each offset and the results are averaged after the ReLU.
    """

    weight: Float32
    bias: Float32
    offsets: tuple[int, ...]


class LayerNorm(NamedTuple):
    """Over D: gamma, beta (D,)."""

    gamma: Float32
    beta: Float32
    eps: float


class CausalConv(NamedTuple):
    """LayerNorm(x + ReLU(conv(x))): weight (D, D, k) as torch's Conv1d, bias (D,).

    The state is the last k - 1 inputs, (k - 1, D).
    """

    weight: Float32
    bias: Float32
    norm: LayerNorm


class LstmCell(NamedTuple):
    """One direction: input (4H, D), recurrent (4H, H), bias (4H,), gates in torch's order i, f, g, o."""

    input: Float32
    recurrent: Float32
    bias: Float32


class SkipLstm(NamedTuple):
    """concat(LSTM(x), x): (T, D) -> (T, H + D). The state is h and c, each (H,)."""

    cell: LstmCell


class BiLstm(NamedTuple):
    """concat(forward, backward): (T, D) -> (T, 2H). Each window alone; backward starts at its end."""

    forward: LstmCell
    backward: LstmCell


class ResidualMlp(NamedTuple):
    """LayerNorm(x + W2 ReLU(W1 x + b1) + b2)."""

    w1: Float32
    b1: Float32
    w2: Float32
    b2: Float32
    norm: LayerNorm


class Linear(NamedTuple):
    """weight (K, D), bias (K,)."""

    weight: Float32
    bias: Float32


class LogSoftmax(NamedTuple):
    """Over K."""


Layer = (
    ElectrodeAffine
    | PoolTime
    | BandLinear
    | LayerNorm
    | CausalConv
    | SkipLstm
    | BiLstm
    | ResidualMlp
    | Linear
    | LogSoftmax
)


class NetworkSpec(NamedTuple):
    """A network as the layers it is made of, in order."""

    name: str
    layers: tuple[Layer, ...]
    stride: int
