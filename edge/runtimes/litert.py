"""LiteRT (the TFLite runtime) as a Runtime: ai_edge_litert, or tflite_runtime where that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.errors import BadInput, MissingExtra
from edge.extras import require
from edge.manifest import TensorSpec
from edge.runtimes.protocol import State
from edge.runtimes.quiet import quiet_loading
from edge.runtimes.signature import FRAMES, LOG_PROBS, next_name
from edge.samples import Float32


class LiteRtRuntime:
    """Runs a .tflite file of docs/formats/model.md through its signature."""

    name = "LiteRT"

    def __init__(self, model: bytes, state: Sequence[TensorSpec], threads: int = 1) -> None:
        """Load `model`; `state` names its state tensors in order. Raises BadInput where it is another's."""
        with quiet_loading():
            self._interpreter: Any = _interpreter(model, threads)
            self._interpreter.allocate_tensors()
        self._signature: Any = self._interpreter.get_signature_runner()
        self._shapes = {
            name: tuple(detail["shape"].tolist())
            for name, detail in self._signature.get_input_details().items()
        }
        self._state = tuple(state)
        expected = {tensor.name: tensor.shape for tensor in state}
        found = {name: shape for name, shape in self._shapes.items() if name != FRAMES}
        if found != expected or FRAMES not in self._shapes:
            raise BadInput(
                f"the .tflite takes {self._shapes}, and model.json lists the state {expected}; "
                "export both again: qwrist export"
            )

    def initial_state(self) -> State:
        """Zeros."""
        return tuple(np.zeros(tensor.shape, np.float32) for tensor in self._state)

    def run(self, frames: Float32, state: State) -> tuple[Float32, State]:
        """(T, W, E, F) frames and the state before them -> (T / stride, K) log-probabilities, state after."""
        if frames.shape != self._shapes[FRAMES]:
            raise BadInput(f"the .tflite takes frames {self._shapes[FRAMES]}, these are {frames.shape}")
        # The fused LSTM of a whole window keeps its state in variables, which outlive an invocation.
        self._interpreter.reset_all_variables()
        named = {tensor.name: value for tensor, value in zip(self._state, state, strict=True)}
        outputs = self._signature(**{FRAMES: frames}, **named)
        return outputs[LOG_PROBS], tuple(outputs[next_name(tensor.name)] for tensor in self._state)


def _interpreter(model: bytes, threads: int) -> Any:  # noqa: ANN401  (the runtimes are untyped)
    try:
        module = require("ai_edge_litert.interpreter", "litert")
    except MissingExtra:
        try:
            module = require("tflite_runtime.interpreter", "litert")
        except MissingExtra:
            raise MissingExtra(
                "running a .tflite file needs the Python package 'ai-edge-litert', which is not installed; "
                "install it with: pip install 'qwrist[litert]'"
            ) from None
    return module.Interpreter(model_content=model, num_threads=threads)
