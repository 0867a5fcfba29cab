"""A call's arrays as bytes: what an artifact takes, in its order, little-endian, nothing between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.manifest import Artifact, Form, ModelManifest
from edge.runtimes import ModelInput, State
from edge.runtimes.tflite import expected_inputs
from edge.samples import Float32

Array = npt.NDArray[Any]


class Tensor(NamedTuple):
    """One array of a call."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """How long it is."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Calls:
    """What the calls of one artifact are made of, in bytes."""

    form: Form
    rows: int  # emissions a call
    classes: int = CHARSET.num_classes

    @classmethod
    def of(cls, artifact: Artifact, model: ModelManifest) -> Calls:
        """Those of an artifact of `model`."""
        return cls(artifact.form, artifact.form.chunk_frames // model.stride)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """Frames, or samples and which frames miss none."""
        listed = [Tensor(one.shape, one.dtype) for one in expected_inputs(self.form).values()]
        return tuple(listed[: len(listed) - len(self.form.state)])

    @cached_property
    def state(self) -> tuple[Tensor, ...]:
        """The state tensors."""
        return tuple(Tensor(one.shape, one.dtype) for one in self.form.state)

    @cached_property
    def input_bytes(self) -> int:
        """Of the inputs of one call."""
        return sum(one.bytes for one in self.inputs)

    @cached_property
    def state_bytes(self) -> int:
        """Of a whole state."""
        return sum(one.bytes for one in self.state)

    @property
    def result_bytes(self) -> int:
        """Of the emissions of one call."""
        return Tensor((self.rows, self.classes), "float32").bytes

    def pack_input(self, x: ModelInput) -> bytes:
        """A call's inputs. Raises BadInput where they are of another shape or type."""
        return _packed(x if isinstance(x, tuple) else (x,), self.inputs, "a call")

    def pack_state(self, state: State) -> bytes:
        """A whole state. Raises BadInput likewise."""
        return _packed(state, self.state, "a state")

    def unpack_input(self, content: bytes) -> ModelInput:
        """The inputs of `input_bytes` bytes."""
        arrays = _unpacked(content, self.inputs)
        return arrays[0] if len(arrays) == 1 else (arrays[0], arrays[1])

    def unpack_state(self, content: bytes) -> State:
        """The state of `state_bytes` bytes."""
        return _unpacked(content, self.state)

    def unpack_result(self, content: bytes) -> Float32:
        """The (rows, classes) log-probabilities of `result_bytes` bytes."""
        return _unpacked(content, (Tensor((self.rows, self.classes), "float32"),))[0]


def pack(arrays: Iterable[Array]) -> bytes:
    """Arrays one behind the other."""
    return b"".join(
        np.ascontiguousarray(array, np.dtype(array.dtype).newbyteorder("<")).tobytes() for array in arrays
    )


def _packed(arrays: Sequence[Array], expected: Sequence[Tensor], what: str) -> bytes:
    found = tuple(Tensor(array.shape, array.dtype.name) for array in arrays)
    if found != tuple(expected):
        raise BadInput(f"{what} of this artifact is {_words(expected)}; it was given {_words(found)}")
    return pack(arrays)


def _unpacked(content: bytes, tensors: Sequence[Tensor]) -> tuple[Array, ...]:
    arrays, start = [], 0
    for tensor in tensors:
        flat = np.frombuffer(content[start : start + tensor.bytes], np.dtype(tensor.dtype).newbyteorder("<"))
        arrays.append(flat.reshape(tensor.shape).astype(tensor.dtype))  # native, and writable
        start += tensor.bytes
    return tuple(arrays)


def _words(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensor.dtype} {tensor.shape}" for tensor in tensors) or "nothing"
