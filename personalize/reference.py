"""The CPU reference: a torch network behind the Runtime Protocol that every exported artifact must match."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edge.manifest import Form
from edge.runtimes import ModelInput, State, frames_of
from edge.samples import Float32
from personalize.forms import form_of
from personalize.networks import Network, streamed

WHOLE_WINDOW_FRAMES = 500  # 4 s: what a bidirectional network was trained on
LIVE_CHUNK_FRAMES = 4  # 32 ms: two emissions of the streaming network; a third of its label delay
_LONG_CHUNK_FRAMES = 1024  # 8 s


def deployed_form(network: Network) -> Form:
    """How the desk runs `network`: whole windows for what reads them both ways, else a stream."""
    if network.bidirectional:
        return form_of(network.spec(), chunk_frames=WHOLE_WINDOW_FRAMES, whole_window=True)
    return form_of(streamed(network).spec(), chunk_frames=LIVE_CHUNK_FRAMES)


def in_long_chunks(form: Form) -> Form:
    """`form` for decoding in one go: longer chunks, faster where state is carried, with the same answer."""
    return form if form.whole_window else form.model_copy(update={"chunk_frames": _LONG_CHUNK_FRAMES})


class TorchRuntime:
    """Runs a network in evaluation mode, on the device where it is; fulfils edge.runtimes.Runtime."""

    name = "torch CPU"

    def __init__(self, network: Network, form: Form | None = None) -> None:
        """In `form`, of which chunk, lookahead and whole window count: it takes frames, in float32."""
        wanted = form or deployed_form(network)
        self.network = network if wanted.whole_window else streamed(network, wanted.lookahead_frames)
        self.network.eval()
        self._device = next(network.parameters()).device
        self.form = form_of(
            self.network.spec(),
            chunk_frames=wanted.chunk_frames,
            whole_window=wanted.whole_window,
            lookahead_frames=wanted.lookahead_frames,
        )

    def initial_state(self) -> State:
        """The network's own, without the batch dimension."""
        return tuple(tensor[0].cpu().numpy() for tensor in self.network.initial_state(1))

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """(T, W, E, F) frames -> (T', K) log-probabilities and the next state."""
        frames = frames_of(x, self.name)
        with torch.inference_mode():
            log_probs, after = self.network(self._batch(frames), tuple(self._batch(s) for s in state))
        return log_probs[0].cpu().numpy(), tuple(tensor[0].cpu().numpy() for tensor in after)

    def _batch(self, array: Float32) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))[None].to(self._device)
