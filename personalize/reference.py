"""The CPU reference: a torch network behind the Runtime Protocol that every exported artifact must match."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edge.runtimes import State
from edge.samples import Float32
from personalize.networks import Network

WHOLE_WINDOW_FRAMES = 500  # 4 s: what a bidirectional network was trained on
LIVE_CHUNK_FRAMES = 4  # 32 ms: two emissions of the streaming network; a third of its label delay


def deployed_chunk(network: Network) -> int:
    """The frames that an artifact of `network` takes at once."""
    if len(network.initial_state(1)) > 0:
        return LIVE_CHUNK_FRAMES
    return WHOLE_WINDOW_FRAMES + network.left_context + network.lookahead


class TorchRuntime:
    """Runs a network in evaluation mode, on the device where it is; fulfils edge.runtimes.Runtime."""

    name = "torch CPU"

    def __init__(self, network: Network, chunk_frames: int | None = None) -> None:
        self._network = network.eval()
        self._device = next(network.parameters()).device
        self.chunk_frames = deployed_chunk(network) if chunk_frames is None else chunk_frames

    def initial_state(self) -> State:
        """The network's own, without the batch dimension."""
        return tuple(tensor[0].cpu().numpy() for tensor in self._network.initial_state(1))

    def run(self, frames: Float32, state: State) -> tuple[Float32, State]:
        """(T, W, E, F) frames -> (T', K) log-probabilities and the next state."""
        with torch.inference_mode():
            log_probs, after = self._network(self._batch(frames), tuple(self._batch(s) for s in state))
        return log_probs[0].cpu().numpy(), tuple(tensor[0].cpu().numpy() for tensor in after)

    def _batch(self, array: Float32) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))[None].to(self._device)
