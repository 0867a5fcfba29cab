"""What a lowered layer is: a torch module that takes its own state and gives the next."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from edge.samples import Float32
from personalize import spec

TensorState = tuple[Tensor, ...]


class Stage(nn.Module, ABC):
    """One layer; `held` is how many state tensors it carries."""

    held: int = 0

    @abstractmethod
    def forward(self, x: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(T, ...) and the layer's state -> (T', ...) and its new state."""


def linear_of(weight: Float32, bias: Float32) -> nn.Linear:
    """A torch Linear with these weights."""
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return linear


def layer_norm_of(layer: spec.LayerNorm) -> nn.LayerNorm:
    """A torch LayerNorm with these weights."""
    norm = nn.LayerNorm(len(layer.gamma), layer.eps)
    norm.load_state_dict({"weight": torch.from_numpy(layer.gamma), "bias": torch.from_numpy(layer.beta)})
    return norm
