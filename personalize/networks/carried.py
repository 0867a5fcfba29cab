"""Networks cut for a stream: what was trained on windows, run chunk by chunk with its memory in a state.

Each shares the modules, and so the weights, of the network that it was made from. Letters as in base.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from edge.errors import BadInput
from edge.samples import WRISTS
from personalize import spec
from personalize.networks.base import Network, TensorState
from personalize.networks.paper import (
    LSTM_HIDDEN,
    LSTM_LAYERS,
    MLP_FEATURES,
    TDS_BLOCKS,
    TDS_KERNEL,
    SpatialLstm,
    Tds,
)


class StreamedTds(Network):
    """A TDS network whose blocks carry what they would consume: T frames give T emissions.

    What it says of the first `settling` frames rests on a past of zeros that it never saw in training.
    """

    frame_input = "log_power"
    left_context = 0
    lookahead = 0
    stride = 1
    settling = TDS_BLOCKS * (TDS_KERNEL - 1)
    label_delay = Tds.label_delay
    state_names = tuple(f"past_{block + 1}" for block in range(TDS_BLOCKS))

    def __init__(self, network: Tds) -> None:
        super().__init__()
        self.name = network.name
        self.network = network

    def initial_state(self, batch: int) -> TensorState:
        """The pasts of the blocks, (B, kernel - 1, D) each."""
        weight = self.network.head.weight
        return tuple(
            weight.new_zeros(batch, TDS_KERNEL - 1, WRISTS * MLP_FEATURES) for _ in range(TDS_BLOCKS)
        )

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F) -> (B, T, K)."""
        x = self.network.front(self.network.norm(frames))
        pasts = []
        for block, past in zip(self.network.blocks, state, strict=True):
            extended = torch.cat([past, x], 1)
            pasts.append(extended[:, x.shape[1] :])
            x = block(extended)
        return F.log_softmax(self.network.head(x), -1), tuple(pasts)

    def spec(self) -> spec.NetworkSpec:
        """That of the network: its layers carry their past."""
        return self.network.spec()


class LatencyControlled(Network):
    """A spatial_lstm that reads a chunk and some lookahead (Zhang et al. 2016, latency-controlled BiLSTM).

    The forward directions are carried from chunk to chunk; the backward ones start from zero at the end of
    the lookahead. It is not the whole-window network, and comes near it as chunk and lookahead grow.
    """

    frame_input = "log_power"
    left_context = 0
    stride = 1
    state_names = tuple(f"{part}_{layer + 1}" for layer in range(LSTM_LAYERS) for part in ("h", "c"))

    def __init__(self, network: SpatialLstm, lookahead: int) -> None:
        super().__init__()
        self.name = network.name
        self.network = network
        self.lookahead = lookahead
        self.forwards = nn.ModuleList(_direction(network.lstm, layer, "") for layer in range(LSTM_LAYERS))
        self.backwards = nn.ModuleList(
            _direction(network.lstm, layer, "_reverse") for layer in range(LSTM_LAYERS)
        )

    def initial_state(self, batch: int) -> TensorState:
        """H and c of each layer's forward direction, (B, H) each."""
        return tuple(self.network.head.weight.new_zeros(batch, LSTM_HIDDEN) for _ in self.state_names)

    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F) -> (B, T - lookahead, K), and the state after T - lookahead frames."""
        x = self.network.front(self.network.norm(frames))
        chunk = x.shape[1] - self.lookahead
        after: list[Tensor] = []
        for layer, (forward, backward) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            held = (state[2 * layer][None], state[2 * layer + 1][None])
            said, held = forward(x[:, :chunk], held)
            ahead = [] if self.lookahead == 0 else [forward(x[:, chunk:], held)[0]]
            reverse = backward(x.flip(1))[0].flip(1)
            after += (part[0] for part in held)
            x = torch.cat([torch.cat([said, *ahead], 1), reverse], -1)  # (B, T, 2H)
        y = F.linear(self.network.mlp(x[:, :chunk]), *self.network.classifier())
        return F.log_softmax(y, -1), tuple(after)

    def spec(self) -> spec.NetworkSpec:
        """The network's layers, with the lookahead in them and left out at the end."""
        whole = self.network.spec()
        layers: list[spec.Layer] = [
            layer._replace(lookahead=self.lookahead) if isinstance(layer, spec.BiLstm) else layer
            for layer in whole.layers
        ]
        last = max(i for i, layer in enumerate(layers) if isinstance(layer, spec.BiLstm))
        if self.lookahead:
            layers.insert(last + 1, spec.DropTail(self.lookahead))
        return whole._replace(layers=tuple(layers))


def streamed(network: Network, lookahead_frames: int = 0) -> Network:
    """The network that says the same chunk by chunk. Raises BadInput for a lookahead without use."""
    match network:
        case SpatialLstm():
            return LatencyControlled(network, lookahead_frames).eval()
        case _ if lookahead_frames:
            raise BadInput(f"{network.name} looks at no future frame; leave --lookahead-ms out")
        case Tds():
            return StreamedTds(network).eval()
        case _:
            return network


def _direction(lstm: nn.LSTM, layer: int, suffix: str) -> nn.LSTM:
    """One direction of one layer as an LSTM of its own, on the same weights."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: getattr(lstm, f"{name}_l{layer}{suffix}") for name in names}
    one = nn.LSTM(weights["weight_ih"].shape[1], lstm.hidden_size, batch_first=True, device="meta")
    for name, weight in weights.items():
        setattr(one, f"{name}_l0", weight)
    return one
