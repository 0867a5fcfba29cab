"""The moving average of a network's weights: what the last updates have in common.

Exponential, after Polyak and Juditsky (1992): the mean of a noisy walk lies nearer to its goal than its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows the floating-point tensors of a network; a decay of 0 is the network itself."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay, self._updates = network, decay, 0
        self._mean = _weights(network) if decay else {}

    def follow(self) -> None:
        """Take in the network's weights after an update.

        Early on the average is over few updates, so that it forgets where the network started: with n of
        them the decay is at most n / (n + 9), a horizon of a tenth of the run so far.
        """
        self._updates += 1
        decay = min(self._decay, self._updates / (self._updates + 9))
        for name, tensor in self._tensors():
            self._mean[name].lerp_(tensor, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averaged weights inside, and goes on with its own afterwards."""
        own = {name: tensor.clone() for name, tensor in self._tensors()}
        self._write(self._mean)
        try:
            yield
        finally:
            self._write(own)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The average so far, by the names of the network's tensors."""
        return self._mean

    def restore(self, tensors: dict[str, Tensor], updates: int) -> None:
        """Go on from `tensors`, the average over so many updates."""
        self._updates = updates
        for name, mean in self._mean.items():
            mean.copy_(tensors[name])

    def _tensors(self) -> list[tuple[str, Tensor]]:
        state = self._network.state_dict()
        return [(name, state[name]) for name in self._mean]

    def _write(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self._tensors():
                tensor.copy_(weights[name])


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all that can be averaged; counters of batches cannot."""
    state = network.state_dict()
    return {name: t.detach().clone() for name, t in state.items() if t.is_floating_point()}
