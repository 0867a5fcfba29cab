"""A trained network as layers and NumPy arrays: what an exporter needs to lower it without torch.

Each layer maps (T, D) to (T', D'); the input is (T, W, E, F) frames, or raw samples where the first layer is
a FrontEnd. Layers that carry a state say which tensors; `state_of` lists them. All arrays are float32.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from edge.manifest import TensorSpec
from edge.samples import ELECTRODES, WRISTS, Float32


class NormStart(NamedTuple):
    """Where the running normalisation (edge/normalize.py) starts: mean and variance (W, E, F), its weight."""

    mean: Float32
    variance: Float32
    prior_frames: float
    horizon_frames: float
    variance_floor: float


class FrontEnd(NamedTuple):
    """Raw samples to frames: high-pass, log power and, with `norm`, running normalisation.

    Takes (N, W, E) samples, N = 16 (T - 1) + 64, and valid (T, W), 1 where a frame's window misses nothing.
    A hop of 16 samples x and the filter's two state variables s: (y, s') = hop_filter @ (x, s), both 18 long.
    A frame of 64 filtered samples: re, im = basis @ y, 33 each; log10(re^2 + im^2 + floor).
    The state is `filter` (2, W, E) and, with `norm`, `norm_mean`, `norm_variance` (W, E, F) and `norm_weight`
    (W,), all three relative to their start; it is what holds after T - lookahead frames.
    """

    hop_filter: Float32  # (18, 18)
    basis: Float32  # (66, 64): cosines, then sines, times the window over its root energy
    floor: float
    norm: NormStart | None  # None: the network takes log power, 0 where not valid
    uv_per_lsb: float | None  # of int16 samples; None: microvolts
    lookahead: int  # frames that will be given again


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


class TdsConv(NamedTuple):
    """LayerNorm(x + ReLU(conv(x))), a convolution over time that all columns of a plane share.

    D = C * columns, feature c * columns + j is channel c of column j; weight (C, C, k), bias (C,). The state
    is the last k - 1 inputs, (k - 1, D).
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
    """concat(forward, backward): (T, D) -> (T, 2H). The backward direction starts from zero at the last row.

    With `lookahead` None each window stands alone. With a number (latency-controlled: Zhang et al. 2016) the
    state is h and c of the forward direction, each (H,), as they are after T - lookahead rows.
    """

    forward: LstmCell
    backward: LstmCell
    lookahead: int | None = None


class DropTail(NamedTuple):
    """Leave the last `rows` out: they were only looked at."""

    rows: int


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
    FrontEnd
    | ElectrodeAffine
    | PoolTime
    | BandLinear
    | LayerNorm
    | CausalConv
    | TdsConv
    | SkipLstm
    | BiLstm
    | DropTail
    | ResidualMlp
    | Linear
    | LogSoftmax
)


class NetworkSpec(NamedTuple):
    """A network as the layers it is made of, in order."""

    name: str
    layers: tuple[Layer, ...]
    stride: int


def state_of(network: NetworkSpec) -> tuple[TensorSpec, ...]:
    """The float32 tensors that a stream carries, in the order of the layers, numbered by kind."""
    tensors: list[TensorSpec] = []
    pasts, cells = count(1), count(1)
    for layer in network.layers:
        match layer:
            case FrontEnd(norm=norm):
                tensors += _front_end_state(norm)
            case CausalConv(weight, norm=norm) | TdsConv(weight, norm=norm):
                shape = (weight.shape[2] - 1, len(norm.gamma))
                tensors.append(TensorSpec(name=f"past_{next(pasts)}", shape=shape))
            case SkipLstm(cell) | BiLstm(cell, lookahead=int()):
                number, hidden = next(cells), cell.recurrent.shape[1]
                tensors += [TensorSpec(name=f"{part}_{number}", shape=(hidden,)) for part in ("h", "c")]
            case _:
                pass
    return tuple(tensors)


def _front_end_state(norm: NormStart | None) -> list[TensorSpec]:
    found = [TensorSpec(name="filter", shape=(2, WRISTS, ELECTRODES))]
    if norm is not None:
        found += [
            TensorSpec(name="norm_mean", shape=norm.mean.shape),
            TensorSpec(name="norm_variance", shape=norm.variance.shape),
            TensorSpec(name="norm_weight", shape=(WRISTS,)),
        ]
    return found
