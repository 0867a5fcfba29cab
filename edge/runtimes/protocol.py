"""What a runtime is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.manifest import Form
from edge.samples import Float32

State = tuple[npt.NDArray[Any], ...]
"""A network's explicit state: it can be saved, restored, reset and sent. Empty for a whole-window network."""

Samples = tuple[npt.NDArray[np.float32 | np.int16], Float32]
"""(N, W, E) raw samples and (T, W) validity of their frames: 1 where a frame misses no sample."""

ModelInput = Float32 | Samples
"""What one call takes: (T, W, E, F) frames, or samples, as the form says."""


class Runtime(Protocol):
    """Runs one exported chunk: a pure function of its input and a state."""

    @property
    def name(self) -> str:
        """For tables and messages: "ExecuTorch", "LiteRT", "torch CPU"."""
        ...

    @property
    def form(self) -> Form:
        """What one call takes, and how its numbers are stored."""
        ...

    def initial_state(self) -> State:
        """The state before the first chunk; it stands for zeros."""
        ...

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """A chunk with its lookahead -> (chunk / stride, K) log-probabilities, the state after the chunk."""
        ...


def frames_of(x: ModelInput, runtime: str) -> Float32:
    """`x` where it is frames. Raises BadInput for samples."""
    if isinstance(x, tuple):
        raise BadInput(
            f"{runtime} takes frames, these are raw samples; give them to an artifact that takes samples"
        )
    return x
