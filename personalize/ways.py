"""Ways of fitting a network to a person: all of it, its last layers, low-rank adapters, or its norms alone.

Whatever the way, what comes of it is an ordinary network with its ordinary tensors. Whoever's frames are
normalised from their own statistics has the person's prior besides; the batch norms of networks that have
such go on following the recordings in every way, as a prior would.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from edge.errors import BadInput
from personalize.networks import Network, SpatialLstm, Streaming, Tds, TensorState
from personalize.recipe import Way
from personalize.spec import NetworkSpec

RANK: Final = 8  # of an adapter: a sixth of the live network's linear and recurrent weights


@contextmanager
def fitting(network: Network, way: Way, seed: int) -> Iterator[Network]:
    """What to train in place of `network`; on leaving, `network` has what came of it, as plain weights.

    `seed` initialises adapters. Raises BadInput where `network` cannot be fitted that way.
    """
    try:
        if way == "adapters":
            adapted = Adapted(network, seed)
            yield adapted
            adapted.merge()
        else:
            chosen = trained_names(network, way)
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(name in chosen)
            yield network
    finally:
        network.requires_grad_(requires_grad=True)


def trained_names(network: Network, way: Way) -> frozenset[str]:
    """The parameters of `network` that training changes, or for adapters, that they are added to."""
    match way:
        case "full":
            return frozenset(name for name, _ in network.named_parameters())
        case "last":
            return _inside(network, _last_layers(network))
        case "norm":
            norms = (nn.LayerNorm, nn.BatchNorm2d)
            return _inside(network, [name for name, m in network.named_modules() if isinstance(m, norms)])
        case "adapters":
            return frozenset(
                f"{name}.{weight}"
                for name, module in network.named_modules()
                if isinstance(module, nn.Linear | nn.LSTM)
                for weight, parameter in module.named_parameters()
                if parameter.dim() == 2
            )


def _last_layers(network: Network) -> list[str]:
    match network:
        case Streaming():
            return ["lstm", "head"]
        case SpatialLstm():
            return ["mlp", "widen", "head"]
        case Tds():
            return [f"blocks.{len(network.blocks) - 1}", "head"]
        case _:
            raise BadInput(
                f"nobody said which layers of a {network.name} network are its last; say way: full"
            )


def _inside(network: Network, modules: list[str]) -> frozenset[str]:
    prefixes = tuple(f"{module}." for module in modules)
    return frozenset(name for name, _ in network.named_parameters() if name.startswith(prefixes))


class Adapted(Network):
    """A network whose linear and recurrent weights W are W + B A, where only B and A of low rank are trained.

    After Hu et al. (2021): B is zero at first, so it starts as the network that it wraps.
    """

    def __init__(self, network: Network, seed: int) -> None:
        """Raises BadInput for networks that are not live: they are cut for a stream by their own layers."""
        if not isinstance(network, Streaming):
            raise BadInput(f"a {network.name} network has no adapters; say way: full or way: last")
        super().__init__()
        self.name, self.frame_input = network.name, network.frame_input
        self.left_context, self.lookahead, self.stride = (
            network.left_context,
            network.lookahead,
            network.stride,
        )
        self.label_delay, self.settling = network.label_delay, network.settling
        self.state_names = network.state_names
        self.network = network.requires_grad_(requires_grad=False)
        self.inner, self.outer = nn.ParameterDict(), nn.ParameterDict()
        generator = torch.Generator().manual_seed(seed)
        for name in sorted(trained_names(network, "adapters")):
            out, width = network.get_parameter(name).shape
            rank = min(RANK, out, width)
            drawn = torch.randn(rank, width, generator=generator) / math.sqrt(width)
            self.inner[_key(name)] = nn.Parameter(drawn)
            self.outer[_key(name)] = nn.Parameter(torch.zeros(out, rank))

    def initial_state(self, batch: int) -> TensorState:
        """The network's."""
        return self.network.initial_state(batch)

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """The network's, with the adapters in its weights."""
        log_probs, after = functional_call(self.network, self.merged(), (frames, state))
        return log_probs, after

    def merged(self) -> dict[str, Tensor]:
        """The weights that have adapters, with them."""
        names = trained_names(self.network, "adapters")
        return {
            name: self.network.get_parameter(name) + self.outer[_key(name)] @ self.inner[_key(name)]
            for name in names
        }

    def merge(self) -> None:
        """Make the adapters part of the network's weights, and start anew with none."""
        with torch.no_grad():
            for name, weight in self.merged().items():
                self.network.get_parameter(name).copy_(weight)
            for outer in self.outer.values():
                outer.zero_()

    def spec(self) -> NetworkSpec:
        """The merged network's."""
        plain = copy.deepcopy(self.network)
        plain.load_state_dict(self.merged(), strict=False)
        return plain.spec()


def _key(name: str) -> str:
    """A parameter's name as one of a ParameterDict, which takes no points."""
    return name.replace(".", "/")
