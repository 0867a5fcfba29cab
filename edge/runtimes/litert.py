"""LiteRT (the TFLite runtime) as a Runtime: ai_edge_litert, or tflite_runtime where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.errors import BadInput, MissingExtra
from edge.extras import require
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State
from edge.runtimes.quiet import quiet_loading
from edge.runtimes.signature import LOG_PROBS, next_name
from edge.runtimes.tflite import InputTensor, check_file, check_signature, named_inputs
from edge.samples import Float32


class LiteRtRuntime:
    """Runs a .tflite file of docs/formats/model.md through its signature."""

    name = "LiteRT"

    def __init__(self, model: bytes, form: Form, threads: int = 1) -> None:
        """Load `model`, whose tensors `form` lists.

        Raises BadInput where it is no .tflite file, damaged, beyond this LiteRT, or another's.
        """
        self.form = form
        self._model = check_file(model)  # the interpreter reads from these bytes for as long as it lives
        module = _interpreter_module()
        with quiet_loading():
            try:
                self._interpreter: Any = module.Interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
                self._signature: Any = self._interpreter.get_signature_runner()
            except (ValueError, RuntimeError) as error:
                raise BadInput(
                    f"LiteRT cannot run this .tflite file ({_first_line(error)}); "
                    "export it again: qwrist export"
                ) from None
        self._inputs = {
            name: _input_tensor(detail) for name, detail in self._signature.get_input_details().items()
        }
        check_signature(self._inputs, form)

    def initial_state(self) -> State:
        """As the form says: what stands for zeros."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """A chunk's input and the state before it -> (chunk / stride, K) log-probabilities, state after."""
        named = named_inputs(x, state, self.form, self._inputs)
        if self.form.whole_window:  # its fused LSTM keeps its state in variables, which outlive an invocation
            self._interpreter.reset_all_variables()
        outputs = self._signature(**named)
        return outputs[LOG_PROBS], tuple(outputs[next_name(tensor.name)] for tensor in self.form.state)


def _interpreter_module() -> Any:  # noqa: ANN401  (the runtimes are untyped)
    try:
        return require("ai_edge_litert.interpreter", "litert")
    except MissingExtra:
        try:
            return require("tflite_runtime.interpreter", "litert")
        except MissingExtra:
            raise MissingExtra(
                "running a .tflite file needs the Python package 'ai-edge-litert', which is not installed; "
                "install it with: pip install 'qwrist[litert]'"
            ) from None


def _input_tensor(detail: dict[str, Any]) -> InputTensor:
    scale, zero_point = detail["quantization"]
    return InputTensor(
        tuple(detail["shape"].tolist()), np.dtype(detail["dtype"]).name, float(scale), int(zero_point)
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
