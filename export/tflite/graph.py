"""A TFLite model being written: tensors, constants, operators and one named signature.

Constants are kept by content, so a weight that many operators read is stored once. Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.extras import require

schema: Final = require("ai_edge_litert.schema_py_generated", "litert")
_Builder: Any = require("flatbuffers", "litert").Builder

FILE_IDENTIFIER: Final = b"TFL3"
SCHEMA_VERSION: Final = 3
SIGNATURE: Final = "serving_default"  # what every TFLite tool looks for first
ALIGNMENT: Final = 16  # bytes; the schema forces it on buffers, the Python builder forgets it
_LAST_DEPRECATED_CODE: Final = 127  # operator codes were one signed byte once

Dtype = Literal["float32", "int8", "int16", "int32", "int64"]
Constant = npt.NDArray[np.float32 | np.int8 | np.int16 | np.int32 | np.int64]


class Quantization(NamedTuple):
    """What an integer tensor's numbers mean: real = scale * (number - zero_point).

    One scale for the tensor, or one for each slice along its first axis (output channels of a weight).
    """

    scales: tuple[float, ...]
    zero_point: int = 0

    @property
    def scale(self) -> float:
        """The scale of a tensor that has one."""
        (scale,) = self.scales
        return scale


class Kind(NamedTuple):
    """What a tensor holds."""

    shape: tuple[int, ...]
    dtype: Dtype = "float32"
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph: where it stands in the file, and what it holds."""

    index: int
    kind: Kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Static."""
        return self.kind.shape

    @property
    def dtype(self) -> Dtype:
        """Of its numbers."""
        return self.kind.dtype

    @property
    def quantization(self) -> Quantization | None:
        """None for float32 and for plain integers."""
        return self.kind.quantization


class _CompactBuilder(_Builder):  # type: ignore[misc]  # an untyped base
    """A builder that aligns constants to 16 bytes, and writes equal names, shapes and settings once.

    An unrolled recurrence has thousands of operators that differ in nothing but their tensors.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[object, int] = {}

    def once(self, key: object, write: Callable[[], int]) -> int:
        """Where what `key` stands for was written, by `write` if it was not yet."""
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]

    def StartVector(self, elem_size: int, count: int, alignment: int) -> Any:  # noqa: N802, ANN401  (the base's)
        return super().StartVector(elem_size, count, ALIGNMENT if elem_size == 1 else alignment)

    def CreateString(self, text: str) -> int:  # noqa: N802
        return self.once(text, lambda: int(super(_CompactBuilder, self).CreateString(text)))

    def CreateNumpyVector(self, array: npt.NDArray[Any]) -> int:  # noqa: N802
        def write() -> int:
            return int(super(_CompactBuilder, self).CreateNumpyVector(array))

        return write() if array.dtype == np.uint8 else self.once((array.dtype.str, array.tobytes()), write)


class _Once:
    """A table of the schema that is written once for all that refer to an equal one."""

    def __init__(self, table: Any) -> None:  # noqa: ANN401  (the schema is untyped)
        self._table = table
        self._key = type(table).__name__, *(_hashable(value) for value in vars(table).values())

    def Pack(self, builder: _CompactBuilder) -> int:  # noqa: N802  (the schema's name)
        return builder.once(self._key, lambda: int(self._table.Pack(builder)))


class Graph:
    """One subgraph of tensors with static shapes."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._inputs: list[tuple[str, int]] = []
        self._outputs: list[tuple[str, int]] = []
        self._buffers: list[Any] = [schema.BufferT()]  # buffer 0 means: no data
        self._constants: dict[tuple[Kind, bytes], Tensor] = {}
        self._codes: dict[tuple[int, int], int] = {}

    def input(self, name: str, kind: Kind) -> Tensor:
        """An input of the signature."""
        tensor = self._tensor(name, kind)
        self._inputs.append((name, tensor.index))
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Name `tensor` as the next output of the signature."""
        self._tensors[tensor.index].name = name
        self._outputs.append((name, tensor.index))

    def variable(self, name: str, shape: Sequence[int]) -> Tensor:
        """A float32 tensor that keeps its value between invocations until the variables are reset."""
        tensor = self._tensor(name, Kind(tuple(shape)))
        self._tensors[tensor.index].isVariable = True
        return tensor

    def constant(self, array: Constant, quantization: Quantization | None = None) -> Tensor:
        """A tensor with fixed content; equal content of equal meaning gives the same tensor."""
        content = np.ascontiguousarray(array).tobytes()
        kind = Kind(array.shape, _dtype(array), quantization)
        if (kind, content) not in self._constants:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            self._buffers.append(buffer)
            self._constants[kind, content] = self._tensor("constant", kind, len(self._buffers) - 1)
        return self._constants[kind, content]

    def operator(
        self,
        name: str,
        inputs: Sequence[Tensor | None],
        kinds: Sequence[Kind],
        options: object = None,
        *,
        version: int = 1,
    ) -> tuple[Tensor, ...]:
        """Append a builtin operator (by the schema's name) whose outputs are of `kinds`.

        None stands for an optional input that is left out. `version` is the operator's own, so that an older
        runtime refuses what it cannot run.
        """
        outputs = tuple(self._tensor(name.lower(), kind) for kind in kinds)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, version)
        operator.inputs = _int32(-1 if tensor is None else tensor.index for tensor in inputs)
        operator.outputs = _int32(tensor.index for tensor in outputs)
        if options is not None:
            operator.builtinOptions = _Once(options)
            operator.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self._operators.append(operator)
        return outputs

    def serialize(self) -> bytes:
        """The file's bytes."""
        builder = _CompactBuilder(1 << 20)
        builder.Finish(self._model().Pack(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _tensor(self, name: str, kind: Kind, buffer: int = 0) -> Tensor:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = _int32(kind.shape)
        tensor.hasRank = True
        tensor.type = getattr(schema.TensorType, kind.dtype.upper())
        tensor.buffer = buffer
        tensor.quantization = _quantization(kind.quantization)
        self._tensors.append(tensor)
        return Tensor(len(self._tensors) - 1, kind._replace(shape=tuple(tensor.shape.tolist())))

    def _code(self, name: str, version: int) -> int:
        key = getattr(schema.BuiltinOperator, name), version
        return self._codes.setdefault(key, len(self._codes))

    def _model(self) -> Any:  # noqa: ANN401  (the schema is untyped)
        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = self._description
        model.buffers = self._buffers
        model.operatorCodes = [_operator_code(code, version) for code, version in self._codes]
        model.subgraphs = [self._subgraph()]
        model.signatureDefs = [self._signature()]
        return model

    def _subgraph(self) -> Any:  # noqa: ANN401
        subgraph = schema.SubGraphT()
        subgraph.name = "main"
        subgraph.tensors = self._tensors
        subgraph.operators = self._operators
        subgraph.inputs = [index for _, index in self._inputs]
        subgraph.outputs = [index for _, index in self._outputs]
        return subgraph

    def _signature(self) -> Any:  # noqa: ANN401
        signature = schema.SignatureDefT()
        signature.signatureKey = SIGNATURE
        signature.subgraphIndex = 0
        signature.inputs = [_tensor_map(name, index) for name, index in self._inputs]
        signature.outputs = [_tensor_map(name, index) for name, index in self._outputs]
        return signature


def _hashable(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return tuple(value) if isinstance(value, list) else value


def _dtype(array: Constant) -> Dtype:
    match array.dtype.name:
        case "float32" | "int8" | "int16" | "int32" | "int64" as name:
            return name
        case name:
            raise TypeError(f"no constant of a graph is {name}")


def _quantization(quantization: Quantization | None) -> Any:  # noqa: ANN401
    if quantization is None:
        return None
    entry = schema.QuantizationParametersT()
    entry.scale = np.array(quantization.scales, np.float32)
    entry.zeroPoint = np.full(len(quantization.scales), quantization.zero_point, np.int64)
    entry.quantizedDimension = 0
    return _Once(entry)


def _int32(values: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.array(tuple(values), np.int32)


def _operator_code(code: int, version: int) -> Any:  # noqa: ANN401
    entry = schema.OperatorCodeT()
    entry.builtinCode = code
    entry.deprecatedBuiltinCode = min(code, _LAST_DEPRECATED_CODE)
    entry.version = version
    return entry


def _tensor_map(name: str, index: int) -> Any:  # noqa: ANN401
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = index
    return entry
