"""What a network is here: a pure function of frames and state, with its time geometry declared.

Letters: B batch, T frames (125/s), W wrist, E electrode, F bin, D features, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn

from personalize.spec import NetworkSpec

TensorState = tuple[Tensor, ...]
FrameInput = Literal["normalized", "log_power"]


class Network(nn.Module, ABC):
    """A decoder network.

    From T frames and `initial_state`, a network gives (T - left_context - lookahead) // stride emissions; the
    first needs frames 0 .. left_context + lookahead + stride - 1. The two contexts count frames consumed at
    the window's edges, not what is carried in the state, which is that after T - lookahead frames.
    `label_delay` is how many frames after a press the network is trained to say the key; `bidirectional`
    networks read the whole window both ways; what is said of a stream's first `settling` frames is dropped.
    """

    name: str
    frame_input: FrameInput
    left_context: int
    lookahead: int
    stride: int
    label_delay: int = 0
    settling: int = 0
    bidirectional: bool = False
    state_names: tuple[str, ...] = ()  # of the tensors of `initial_state`, in order

    @abstractmethod
    def initial_state(self, batch: int) -> TensorState:
        """The state at the start of a stream; empty for networks that carry none."""

    @abstractmethod
    def forward(self, frames: Tensor, state: TensorState) -> tuple[Tensor, TensorState]:
        """(B, T, W, E, F) frames and the state before them -> (B, T', K) log-probabilities, state after."""

    @abstractmethod
    def spec(self) -> NetworkSpec:
        """The same function as layers and NumPy arrays, for exporters that know no torch."""
