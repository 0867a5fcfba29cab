"""What a runtime is."""

from __future__ import annotations

from typing import Protocol

from edge.samples import Float32

State = tuple[Float32, ...]
"""A network's explicit state: it can be saved, restored, reset and sent. Empty for a whole-window network."""


class Runtime(Protocol):
    """Runs one exported chunk: a pure function of frames and state."""

    @property
    def name(self) -> str:
        """For tables and messages: "ExecuTorch", "LiteRT", "torch CPU"."""
        ...

    def initial_state(self) -> State:
        """The state before the first chunk: zeros."""
        ...

    def run(self, frames: Float32, state: State) -> tuple[Float32, State]:
        """(T, W, E, F) frames, T the artifact's chunk -> (T / stride, K) log-probabilities, next state."""
        ...
