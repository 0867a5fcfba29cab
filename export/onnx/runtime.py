"""ONNX Runtime as a Runtime: the desk's second opinion."""

from __future__ import annotations

from typing import Any

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State
from edge.runtimes.signature import FRAMES, LOG_PROBS, SAMPLES, VALID, next_name
from edge.samples import Float32


class OnnxRuntime:
    """Runs a file of export.onnx.lower."""

    name = "ONNX Runtime"

    def __init__(self, model: bytes, form: Form, threads: int = 1) -> None:
        """Load `model`. Raises BadInput where it takes other tensors than `form` says."""
        ort = require("onnxruntime", "parity")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        self._session: Any = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.form = form
        self._inputs = (FRAMES,) if form.takes == "frames" else (SAMPLES, VALID)
        self._state = tuple(tensor.name for tensor in form.state)
        self._outputs = [LOG_PROBS, *map(next_name, self._state)]
        found = tuple(tensor.name for tensor in self._session.get_inputs())
        if found != (*self._inputs, *self._state):
            raise BadInput(f"the .onnx takes {found}, its form says {(*self._inputs, *self._state)}")

    def initial_state(self) -> State:
        """Zeros."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """One call, as Runtime.run."""
        inputs = x if isinstance(x, tuple) else (x,)
        named = zip((*self._inputs, *self._state), (*inputs, *state), strict=True)
        log_probs, *after = self._session.run(self._outputs, dict(named))
        return log_probs, tuple(after)
