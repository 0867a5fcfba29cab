"""TensorFlow Lite for Microcontrollers as a Runtime: its own kernels, in its PyPI interpreter."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State
from edge.runtimes.quiet import quiet_loading
from edge.runtimes.tflite import InputTensor, check_file, check_signature, expected_inputs, named_inputs
from edge.samples import Float32

ARENA_MARGIN: Final = 0.2  # what firmware should reserve beyond the smallest arena that works here
_ALIGNMENT: Final = 16  # bytes; of an arena
_SMALLEST, _LARGEST = 1 << 10, 1 << 24  # bytes; the search's bounds: 16 MiB is past every microcontroller


class TflmRuntime:
    """Runs a .tflite file whose operators TFLite Micro has, in an arena of `arena_bytes` and a fifth.

    `arena_bytes` is the smallest that works on this machine. Pointers are 8 bytes here and 4 on a Cortex-M,
    so what firmware needs is less.
    """

    name = "TFLite Micro"

    def __init__(self, model: bytes, form: Form, threads: int = 1, arena_bytes: int | None = None) -> None:
        """Load `model`, whose tensors `form` lists; it runs on one thread whatever `threads` says.

        Raises BadInput where it is no .tflite file, one that TFLite Micro cannot run, or another's.
        """
        self.form = form
        self._model = check_file(model)  # the interpreter reads from these bytes for as long as it lives
        self.arena_bytes = smallest_arena(model) if arena_bytes is None else arena_bytes
        reserved = aligned(self.arena_bytes * (1 + ARENA_MARGIN))
        interpreter = _load(model, reserved)
        if interpreter is None:
            raise BadInput(f"TFLite Micro needs an arena of more than {reserved} bytes for this file")
        self._interpreter: Any = interpreter
        names = expected_inputs(form)
        self._inputs = {name: _input_tensor(interpreter, index) for index, name in enumerate(names)}
        check_signature(self._inputs, form)

    def initial_state(self) -> State:
        """As the form says: what stands for zeros."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """A chunk's input and the state before it -> (chunk / stride, K) log-probabilities, state after."""
        named = named_inputs(x, state, self.form, self._inputs)
        for index, array in enumerate(named.values()):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        log_probs, *after = (self._interpreter.get_output(index) for index in range(1 + len(state)))
        return log_probs, tuple(after)


def smallest_arena(model: bytes) -> int:
    """The bytes of the smallest arena in which TFLite Micro prepares `model`, to 16 bytes.

    Raises BadInput where no arena is enough: a damaged file, or operators that TFLite Micro lacks.
    """
    low, high = _SMALLEST, _LARGEST  # high works, low does not
    if _load(model, high) is None:
        raise BadInput(
            "TFLite Micro cannot run this .tflite file: it is damaged, or uses what microcontrollers lack "
            "(dynamic int8, fused bidirectional LSTMs); export it for them: qwrist export --target mcu"
        )
    while high - low > _ALIGNMENT:
        middle = aligned((low + high) / 2)
        low, high = (low, middle) if _load(model, middle) is not None else (middle, high)
    return high


def aligned(size: float) -> int:
    """The next multiple of an arena's alignment."""
    return int(-(-size // _ALIGNMENT)) * _ALIGNMENT


def _load(model: bytes, arena_bytes: int) -> Any | None:  # noqa: ANN401  (untyped)
    """An interpreter with that arena; None where it cannot be prepared there."""
    module: Any = require("tflite_micro", "micro").runtime
    with quiet_loading():
        try:
            return module.Interpreter.from_bytes(model, arena_size=arena_bytes)
        except (ValueError, RuntimeError):
            return None


def _input_tensor(interpreter: Any, index: int) -> InputTensor:  # noqa: ANN401
    detail = interpreter.get_input_details(index)
    scales = detail["quantization_parameters"]["scales"]
    zero_points = detail["quantization_parameters"]["zero_points"]
    return InputTensor(
        tuple(int(size) for size in detail["shape"]),
        np.dtype(detail["dtype"]).name,
        float(scales[0]) if len(scales) else 0.0,
        int(zero_points[0]) if len(zero_points) else 0,
    )
