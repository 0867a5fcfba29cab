"""ExecuTorch as a Runtime, through its public Python API. It brings torch, whose tensors it passes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State
from edge.runtimes.quiet import quiet_loading
from edge.runtimes.tflite import InputTensor, expected_inputs, named_inputs
from edge.samples import Float32

FILE_IDENTIFIER: Final = b"ET12"  # bytes 4 to 7 of the programs that ExecuTorch 1.x reads
_ADVICE: Final = "export it again: qwrist export"

# executorch.exir.scalar_type.ScalarType, for the types that a form can name
_DTYPES: Final = {1: "int8", 2: "int16", 6: "float32"}


class ExecuTorchRuntime:
    """Runs a .pte file of docs/formats/model.md.

    ExecuTorch checks a program's header, length and operators, and not its contents: a program with flipped
    bits can answer wrongly or take the process down. So open_runtime compares hashes first, and
    edge.runtimes.process runs what is not trusted in a process of its own.
    """

    name = "ExecuTorch"

    def __init__(self, model: bytes, form: Form, threads: int = 1) -> None:
        """Load `model`. `threads` holds for every ExecuTorch program of the process.

        Raises BadInput where it is no .pte file, damaged, of another ExecuTorch, or not of `form`.
        """
        self.form = form
        self._torch = require("torch", "executorch")
        self._model = _check_file(model)  # the program reads from these bytes and keeps no copy
        with quiet_loading():
            runtime = require("executorch.runtime", "executorch")
            library = require("executorch.extension.pybindings.portable_lib", "executorch")
            library._unsafe_reset_threadpool(threads)  # noqa: SLF001  (the only way to set it)
            try:
                self._method: Any = runtime.Runtime.get().load_program(model).load_method("forward")
            except (RuntimeError, KeyError) as error:
                raise BadInput(
                    f"ExecuTorch cannot run this .pte file ({_first_line(error)}): it is damaged, or needs "
                    f"operators that this ExecuTorch lacks; {_ADVICE}"
                ) from None
        self._inputs = expected_inputs(form)
        _check_tensors(self._method.metadata, self._inputs, form)

    def initial_state(self) -> State:
        """As the form says: zeros."""
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        """A chunk's input and the state before it -> (chunk / stride, K) log-probabilities, state after."""
        named = named_inputs(x, state, self.form, self._inputs)
        outputs = self._method.execute([self._torch.from_numpy(array) for array in named.values()])
        # Outputs lie in the program's own memory, which the next call overwrites.
        log_probs, *after = (output.numpy().copy() for output in outputs)
        return log_probs, tuple(after)


def _check_file(model: bytes) -> bytes:
    """`model` itself. Raises BadInput where it is not even the start of a program that this version reads."""
    found = model[4:8]
    if found == FILE_IDENTIFIER:
        return model
    if re.fullmatch(rb"ET\d\d", found):
        raise BadInput(
            f"this .pte file is of format {found.decode()}, and this ExecuTorch reads "
            f"{FILE_IDENTIFIER.decode()}; {_ADVICE}, or install the ExecuTorch that wrote it"
        )
    raise BadInput(
        f"this is no .pte file: it does not carry the mark {FILE_IDENTIFIER.decode()}; "
        "name an artifact that qwrist export wrote"
    )


def _check_tensors(meta: Any, inputs: dict[str, InputTensor], form: Form) -> None:  # noqa: ANN401  (untyped)
    """Raise BadInput unless the program's tensors are those that `form` lists."""
    expected_in = [(tensor.shape, tensor.dtype) for tensor in inputs.values()]
    found_in = [_described(meta.input_tensor_meta(i)) for i in range(meta.num_inputs())]
    expected_out = [(tensor.shape, tensor.dtype) for tensor in form.state]
    found_out = [_described(meta.output_tensor_meta(i)) for i in range(meta.num_outputs())][1:]
    for what, found, expected in (
        ("takes", found_in, expected_in),
        ("gives a next state of", found_out, expected_out),
    ):
        if found != expected:
            raise BadInput(
                f"the .pte file {what} {_words(found)}, and the description beside it lists "
                f"{_words(expected)}; export both again: qwrist export"
            )


def _described(tensor: Any) -> tuple[tuple[int, ...], str]:  # noqa: ANN401  (untyped)
    return tuple(tensor.sizes()), _DTYPES.get(tensor.dtype(), f"type {tensor.dtype()}")


def _words(tensors: Sequence[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(f"{dtype} {shape}" for shape, dtype in tensors) or "nothing"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
