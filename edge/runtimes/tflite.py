"""What LiteRT and TFLite Micro have in common: the file, its input tensors, and how a call fills them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.features import BINS
from edge.manifest import Form
from edge.runtimes.protocol import ModelInput, State
from edge.runtimes.signature import FRAMES, SAMPLES, VALID
from edge.samples import ELECTRODES, WRISTS

FILE_IDENTIFIER: Final = b"TFL3"  # bytes 4 to 7 of a .tflite file


class InputTensor(NamedTuple):
    """What one input of a file takes; scale 0 where it is not quantized."""

    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


def check_file(model: bytes) -> bytes:
    """`model` itself. Raises BadInput where it is not even the start of a .tflite file."""
    if model[4:8] != FILE_IDENTIFIER:
        raise BadInput(
            f"this is no .tflite file: it does not carry the mark {FILE_IDENTIFIER.decode()}; "
            "name an artifact that qwrist export wrote"
        )
    return model


def expected_inputs(form: Form) -> dict[str, InputTensor]:
    """The input tensors of a file of `form`, in their order."""
    if form.takes == "frames":
        first = {FRAMES: InputTensor((form.input_frames, WRISTS, ELECTRODES, BINS), "float32")}
    else:
        dtype = "float32" if form.takes == "samples" else "int16"
        first = {
            SAMPLES: InputTensor((form.input_samples, WRISTS, ELECTRODES), dtype),
            VALID: InputTensor((form.input_frames, WRISTS), "float32"),
        }
    state = {
        tensor.name: InputTensor(tensor.shape, tensor.dtype, tensor.scale or 0.0, tensor.zero_point or 0)
        for tensor in form.state
    }
    return first | state


def check_signature(found: Mapping[str, InputTensor], form: Form) -> None:
    """Raise BadInput unless a file's inputs are those that `form` lists."""
    expected = expected_inputs(form)
    for name in sorted(expected.keys() | found.keys()):
        if not _same(found.get(name), expected.get(name)):
            raise BadInput(
                f"the .tflite file and the description beside it disagree on the input {name}: the file has "
                f"{_words(found.get(name))}, the description {_words(expected.get(name))}; "
                "export both again: qwrist export"
            )


def named_inputs(
    x: ModelInput, state: State, form: Form, tensors: Mapping[str, InputTensor]
) -> dict[str, npt.NDArray[Any]]:
    """A call's arrays by the names of their tensors. Raises BadInput where they are not what a call takes."""
    names = (FRAMES,) if form.takes == "frames" else (SAMPLES, VALID)
    given = x if isinstance(x, tuple) else (x,)
    if len(given) != len(names) or len(state) != len(form.state):
        raise BadInput(
            f"a call takes {' and '.join(names)} and {len(form.state)} tensors of state; "
            f"it was given {len(given)} and {len(state)}"
        )
    states = zip((tensor.name for tensor in form.state), state, strict=True)
    named: dict[str, npt.NDArray[Any]] = dict(zip(names, given, strict=True)) | dict(states)
    for name, array in named.items():
        tensor = tensors[name]
        if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
            raise BadInput(
                f"{name} takes {tensor.dtype} {tensor.shape}, this is {array.dtype.name} {array.shape}"
            )
    return {name: np.ascontiguousarray(array) for name, array in named.items()}


def _same(found: InputTensor | None, expected: InputTensor | None) -> bool:
    if found is None or expected is None:
        return False
    # A file stores scales as float32, the description in decimal.
    return found._replace(scale=0.0) == expected._replace(scale=0.0) and np.float32(
        found.scale
    ) == np.float32(expected.scale)


def _words(tensor: InputTensor | None) -> str:
    if tensor is None:
        return "none of that name"
    scale = f" in steps of {tensor.scale:g} from {tensor.zero_point}" if tensor.scale else ""
    return f"{tensor.dtype} {tensor.shape}{scale}"
