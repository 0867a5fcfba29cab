"""ExecuTorch as a Runtime, through its public Python API. It brings torch, whose tensors it passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State, frames_of
from edge.runtimes.quiet import quiet_loading
from edge.samples import Float32


class ExecuTorchRuntime:
    """Runs a .pte file of docs/formats/model.md."""

    name = "ExecuTorch"

    def __init__(self, model: bytes, form: Form, threads: int = 1) -> None:
        """Load `model`. `threads` holds for every ExecuTorch program of the process.

        Raises BadInput where the program takes other tensors than `form` says.
        """
        self.form = form
        self._torch = require("torch", "executorch")
        self._model = model  # the program reads from these bytes for as long as it lives, and keeps no copy
        with quiet_loading():
            runtime = require("executorch.runtime", "executorch")
            library = require("executorch.extension.pybindings.portable_lib", "executorch")
            library._unsafe_reset_threadpool(threads)  # noqa: SLF001  (the only way to set it)
            program = runtime.Runtime.get().load_program(model)
            self._method: Any = program.load_method("forward")
        meta = self._method.metadata
        shapes = [tuple(meta.input_tensor_meta(i).sizes()) for i in range(meta.num_inputs())]
        self._frames, held = shapes[0], shapes[1:]
        expected = [tensor.shape for tensor in form.state]
        if held != expected:
            raise BadInput(
                f"the .pte carries a state of shapes {held}, and model.json lists {expected}; "
                "export again: qwrist export"
            )

    def initial_state(self) -> State:
        """As the form says: zeros."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """(T, W, E, F) frames and the state before them -> (T / stride, K) log-probabilities, state after."""
        frames = frames_of(x, self.name)
        if frames.shape != self._frames:
            raise BadInput(f"the .pte takes frames {self._frames}, these are {frames.shape}")
        inputs = [self._torch.from_numpy(np.ascontiguousarray(array)) for array in (frames, *state)]
        # Outputs lie in the program's own memory, which the next call overwrites.
        log_probs, *after = (output.numpy().copy() for output in self._method.execute(inputs))
        return log_probs, tuple(after)
