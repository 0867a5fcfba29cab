"""The parts that networks share. Letters: B batch, T time, W wrist, E electrode, F bin, D features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from edge.samples import ELECTRODES, WRISTS, Float32
from personalize import spec


def to_numpy(tensor: Tensor) -> Float32:
    """A detached float32 copy."""
    return tensor.detach().cpu().numpy().astype(np.float32)


class SpectrogramNorm(nn.Module):
    """Batch norm over each of the 2 x 16 electrodes, across time and bins: 64 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(WRISTS * ELECTRODES)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, W, E, F) -> the same shape."""
        b, t, w, e, f = frames.shape
        x = frames.permute(0, 2, 3, 1, 4).reshape(b, w * e, t, f)  # (B, W*E, T, F)
        y: Tensor = self.norm(x).reshape(b, w, e, t, f)
        return y.permute(0, 3, 1, 2, 4)  # (B, T, W, E, F)

    def spec(self) -> spec.ElectrodeAffine:
        """The running statistics folded into a scale and a shift."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        return spec.ElectrodeAffine(
            to_numpy(scale.reshape(WRISTS, ELECTRODES)), to_numpy(shift.reshape(WRISTS, ELECTRODES))
        )


class CircularSpatialConv(nn.Module):
    """The paper's spatial module: bins projected to features, then a circular convolution around the ring.

    Linear (F -> features) and Conv1d (kernel 3, circular over E), shared by both wrists, no non-linearity
    (seed paper, section 2.2.2). With `bands`, their edges in bins, the projection sees
    the means of those.
    """

    pool: Tensor | None

    def __init__(self, bins: int, features: int, bands: Sequence[int] = ()) -> None:
        super().__init__()
        self.register_buffer("pool", band_means(bands) if bands else None, persistent=False)
        self.project = nn.Linear(len(bands) - 1 if bands else bins, features)
        self.conv = nn.Conv1d(features, features, 3, padding=1, padding_mode="circular")

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Projection and convolution composed into one: kernel (features, 3, F), bias (features,).

        Both are linear, so their composition is exact, also in the corners: circular padding has none.
        """
        conv, project = self.conv, self.project
        weight = project.weight if self.pool is None else project.weight @ self.pool  # (S, F)
        kernel = torch.einsum("oik,if->okf", conv.weight, weight)
        bias = torch.einsum("oik,i->o", conv.weight, project.bias)
        return kernel, bias if conv.bias is None else bias + conv.bias


def band_means(edges: Sequence[int]) -> Tensor:
    """From bins to the means of bands, whose edges are bins: (bands, F)."""
    pool = torch.zeros(len(edges) - 1, edges[-1])
    for band, (start, stop) in enumerate(pairwise(edges)):
        pool[band, start:stop] = 1 / (stop - start)
    return pool


def compose_spatial(kernel: Tensor, weight: Tensor) -> Tensor:
    """A linear map after a circular convolution, as one linear map from the frames.

    kernel (S, 3, F) and weight (H, E, S) -> (H, E, F): output electrode e reads inputs e-1, e, e+1, so input
    electrode j is read by outputs j+1, j, j-1.
    """
    per_tap = torch.einsum("hes,skf->khef", weight, kernel)  # (3, H, E, F) indexed by output electrode
    return per_tap[0].roll(-1, 1) + per_tap[1] + per_tap[2].roll(1, 1)


class BandMlp(nn.Module):
    """One linear layer and ReLU a wrist, averaged over rotations; optionally behind the spatial module.

    Everything before the ReLU is linear and is multiplied out on each call: one matrix product a wrist, less
    work than running the parts (benchmarks/training.py), with gradients flowing through the composition.
    """

    def __init__(
        self, bins: int, hidden: int, offsets: Sequence[int], spatial: CircularSpatialConv | None
    ) -> None:
        super().__init__()
        self.spatial = spatial
        self.features = bins if spatial is None else spatial.conv.out_channels
        self.offsets = tuple(offsets)
        self.mlps = nn.ModuleList(nn.Linear(ELECTRODES * self.features, hidden) for _ in range(WRISTS))

    def composed(self) -> list[tuple[Tensor, Tensor]]:
        """For each wrist the weight (H, E, F) and bias (H,) from frames to before the ReLU."""
        maps: list[tuple[Tensor, Tensor]] = []
        for mlp in self.mlps:
            assert isinstance(mlp, nn.Linear)
            weight = mlp.weight.reshape(-1, ELECTRODES, self.features)  # (H, E, S)
            bias: Tensor = mlp.bias
            if self.spatial is not None:
                kernel, shift = self.spatial.kernel()
                bias = bias + weight.sum(1) @ shift
                weight = compose_spatial(kernel, weight)
            maps.append((weight, bias))
        return maps

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, W, E, F) -> (B, T, W * H)."""
        outputs = []
        for wrist, (weight, bias) in enumerate(self.composed()):
            # Rolling the ring one way is rolling the weights the other way.
            rolled = torch.cat([weight.roll(-r, 1).flatten(1) for r in self.offsets])  # (R*H, E*F)
            x = frames[:, :, wrist].flatten(2).contiguous()  # (B, T, E*F); strided input is 35x slower
            y = F.relu(F.linear(x, rolled, bias.repeat(len(self.offsets))))
            outputs.append(y.reshape(*y.shape[:2], len(self.offsets), -1).mean(2))  # (B, T, H)
        return torch.cat(outputs, -1)

    def spec(self) -> spec.BandLinear:
        """The composed weights."""
        maps = self.composed()
        return spec.BandLinear(
            to_numpy(torch.stack([weight for weight, _ in maps])),
            to_numpy(torch.stack([bias for _, bias in maps])),
            self.offsets,
        )


def norm_spec(norm: nn.LayerNorm) -> spec.LayerNorm:
    """A torch LayerNorm as arrays."""
    return spec.LayerNorm(to_numpy(norm.weight), to_numpy(norm.bias), norm.eps)


def linear_spec(linear: nn.Linear) -> spec.Linear:
    """A torch Linear as arrays."""
    return spec.Linear(to_numpy(linear.weight), to_numpy(linear.bias))


def lstm_spec(lstm: nn.LSTM, layer: int = 0, *, reverse: bool = False) -> spec.LstmCell:
    """One direction of one layer of a torch LSTM, its two biases added."""
    suffix = f"l{layer}{'_reverse' if reverse else ''}"
    return spec.LstmCell(
        to_numpy(getattr(lstm, f"weight_ih_{suffix}")),
        to_numpy(getattr(lstm, f"weight_hh_{suffix}")),
        to_numpy(getattr(lstm, f"bias_ih_{suffix}") + getattr(lstm, f"bias_hh_{suffix}")),
    )


class ResidualMlp(nn.Module):
    """LayerNorm(x + Linear(ReLU(Linear(x)))): the fully connected block of the paper's encoders."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        y: Tensor = self.norm(x + self.outer(F.relu(self.inner(x))))
        return y

    def spec(self) -> spec.ResidualMlp:
        """The same as arrays."""
        inner, outer = linear_spec(self.inner), linear_spec(self.outer)
        return spec.ResidualMlp(inner.weight, inner.bias, outer.weight, outer.bias, norm_spec(self.norm))
