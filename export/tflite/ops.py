"""TFLite's operators as functions of tensors: each appends to the graph and returns its result.

Only what the lowering uses. What moves numbers about keeps their type; arithmetic here is float32, unless a
function takes the `kind` of its result. Letters: T time, D and H features.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from export.tflite.graph import Dtype, Graph, Kind, Quantization, Tensor, schema
from personalize import spec

# The version of an operator that first took integers of a type; float32 and what is not listed is version 1.
# An older runtime refuses what it cannot run.
_VERSIONS: Final[dict[tuple[str, Dtype], int]] = {
    ("SLICE", "int8"): 2,
    ("SLICE", "int16"): 4,
    ("SPLIT", "int8"): 2,
    ("SPLIT", "int16"): 4,
    ("CONCATENATION", "int8"): 2,
    ("CONCATENATION", "int16"): 3,
    ("TRANSPOSE", "int8"): 2,
    ("GATHER", "int8"): 2,
    ("ADD", "int16"): 2,
    ("MUL", "int16"): 4,
    ("LOGISTIC", "int16"): 3,
    ("TANH", "int16"): 3,
    ("DEQUANTIZE", "int8"): 2,
    ("DEQUANTIZE", "int16"): 3,
}
_UNIT16: Final = Quantization((2.0**-15,))  # what TFLite demands of an int16 LOGISTIC or TANH


def _version(name: str, x: Tensor) -> int:
    return _VERSIONS.get((name, x.dtype), 1)


def _moved(x: Tensor, shape: Sequence[int]) -> Kind:
    return x.kind._replace(shape=tuple(shape))


def _binary(graph: Graph, name: str, a: Tensor, b: Tensor, options: object, kind: Kind | None) -> Tensor:
    kind = kind or Kind(np.broadcast_shapes(a.shape, b.shape))
    return graph.operator(name, [a, b], [kind], options, version=_version(name, a))[0]


def _unary(graph: Graph, name: str, x: Tensor, options: object = None, kind: Kind | None = None) -> Tensor:
    return graph.operator(name, [x], [kind or Kind(x.shape)], options, version=_version(name, x))[0]


def integers(graph: Graph, values: Sequence[int]) -> Tensor:
    """A constant shape, axis or permutation."""
    return graph.constant(np.array(values, np.int32))


def number(graph: Graph, value: float) -> Tensor:
    """A float32 constant that broadcasts."""
    return graph.constant(np.array([value], np.float32))


def add(graph: Graph, a: Tensor, b: Tensor, kind: Kind | None = None) -> Tensor:
    """The sum, broadcast."""
    options = schema.AddOptionsT()
    options.potScaleInt16 = False  # int16 scales need not be powers of two
    return _binary(graph, "ADD", a, b, options, kind)


def subtract(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The difference a - b, broadcast."""
    return _binary(graph, "SUB", a, b, schema.SubOptionsT(), None)


def multiply(graph: Graph, a: Tensor, b: Tensor, kind: Kind | None = None) -> Tensor:
    """The product, element by element, broadcast."""
    return _binary(graph, "MUL", a, b, schema.MulOptionsT(), kind)


def divide(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The quotient a / b, broadcast."""
    return _binary(graph, "DIV", a, b, schema.DivOptionsT(), None)


def larger(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The larger of each pair, broadcast."""
    return _binary(graph, "MAXIMUM", a, b, schema.MaximumMinimumOptionsT(), None)


def smaller(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The smaller of each pair, broadcast."""
    return _binary(graph, "MINIMUM", a, b, schema.MaximumMinimumOptionsT(), None)


def log(graph: Graph, x: Tensor) -> Tensor:
    """The natural logarithm."""
    return _unary(graph, "LOG", x)


def reciprocal_root(graph: Graph, x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return _unary(graph, "RSQRT", x)


def sigmoid(graph: Graph, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)); of int16 in steps of 2^-15."""
    return _unary(graph, "LOGISTIC", x, None, _unit(x))


def tanh(graph: Graph, x: Tensor) -> Tensor:
    """Hyperbolic tangent; of int16 in steps of 2^-15."""
    return _unary(graph, "TANH", x, None, _unit(x))


def _unit(x: Tensor) -> Kind:
    return Kind(x.shape) if x.dtype == "float32" else Kind(x.shape, "int16", _UNIT16)


def log_softmax(graph: Graph, x: Tensor) -> Tensor:
    """Over the last axis."""
    return _unary(graph, "LOG_SOFTMAX", x, schema.LogSoftmaxOptionsT())


def quantize(graph: Graph, x: Tensor, kind: Kind) -> Tensor:
    """The integers of `kind` that stand for `x`, which may itself be integers of another scale."""
    version = 1 if x.dtype == "float32" and kind.dtype == "int8" else 2
    return graph.operator("QUANTIZE", [x], [kind], schema.QuantizeOptionsT(), version=version)[0]


def dequantize(graph: Graph, x: Tensor) -> Tensor:
    """As float32."""
    return _unary(graph, "DEQUANTIZE", x, schema.DequantizeOptionsT())


def cast(graph: Graph, x: Tensor) -> Tensor:
    """Plain integers as float32."""
    options = schema.CastOptionsT()
    options.inDataType = getattr(schema.TensorType, x.dtype.upper())
    options.outDataType = schema.TensorType.FLOAT32
    return _unary(graph, "CAST", x, options)


def reshape(graph: Graph, x: Tensor, shape: Sequence[int]) -> Tensor:
    """The same numbers in `shape`; nothing is emitted where the shape is that already."""
    if x.shape == tuple(shape):
        return x
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return graph.operator("RESHAPE", [x, integers(graph, shape)], [_moved(x, shape)], options)[0]


def flatten(graph: Graph, x: Tensor) -> Tensor:
    """(T, ...) -> (T, D)."""
    return reshape(graph, x, (x.shape[0], prod(x.shape[1:])))


def transpose(graph: Graph, x: Tensor, order: Sequence[int]) -> Tensor:
    """As numpy.transpose."""
    kind = _moved(x, [x.shape[axis] for axis in order])
    inputs = [x, integers(graph, order)]
    version = _version("TRANSPOSE", x)
    return graph.operator("TRANSPOSE", inputs, [kind], schema.TransposeOptionsT(), version=version)[0]


def take(graph: Graph, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x[start:stop] along `axis`."""
    if (start, stop) == (0, x.shape[axis]):
        return x
    begin, size = [0] * len(x.shape), list(x.shape)
    begin[axis], size[axis] = start, stop - start
    inputs = [x, integers(graph, begin), integers(graph, size)]
    version = _version("SLICE", x)
    return graph.operator("SLICE", inputs, [_moved(x, size)], schema.SliceOptionsT(), version=version)[0]


def split(graph: Graph, x: Tensor, parts: int, axis: int) -> tuple[Tensor, ...]:
    """Equal parts along `axis`; one part is `x` itself."""
    if parts == 1:
        return (x,)
    options = schema.SplitOptionsT()
    options.numSplits = parts
    shape = list(x.shape)
    shape[axis] //= parts
    inputs = [graph.constant(np.array(axis, np.int32)), x]
    return graph.operator("SPLIT", inputs, [_moved(x, shape)] * parts, options, version=_version("SPLIT", x))


def concatenate(graph: Graph, parts: Sequence[Tensor], axis: int) -> Tensor:
    """Parts of one type and scale one after another along `axis`; a single one is itself."""
    if len(parts) == 1:
        return parts[0]
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    kind = _moved(parts[0], shape)
    if any(part.kind._replace(shape=()) != kind._replace(shape=()) for part in parts):
        raise TypeError(f"parts of different types or scales: {[part.kind for part in parts]}")
    version = _version("CONCATENATION", parts[0])
    return graph.operator("CONCATENATION", parts, [kind], options, version=version)[0]


def reverse(graph: Graph, x: Tensor) -> Tensor:
    """The rows of (T, D) from last to first."""
    options = schema.GatherOptionsT()
    order = integers(graph, range(x.shape[0] - 1, -1, -1))
    return graph.operator("GATHER", [x, order], [x.kind], options, version=_version("GATHER", x))[0]


def zeros(graph: Graph, kind: Kind) -> Tensor:
    """A constant of `kind` that stands for 0."""
    start = 0 if kind.quantization is None else kind.quantization.zero_point
    return graph.constant(np.full(kind.shape, start, kind.dtype), kind.quantization)


def roll(graph: Graph, x: Tensor, axis: int, offset: int) -> Tensor:
    """As numpy.roll: element i goes to i + offset around the ring."""
    size = x.shape[axis]
    cut = -offset % size
    if cut == 0:
        return x
    return concatenate(graph, [take(graph, x, axis, cut, size), take(graph, x, axis, 0, cut)], axis)


def mean(graph: Graph, x: Tensor, axis: int, *, keep: bool = False) -> Tensor:
    """Over one axis, which stays with size 1 if `keep`."""
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    shape = (*x.shape[:axis], *([1] if keep else []), *x.shape[axis + 1 :])
    return graph.operator("MEAN", [x, integers(graph, [axis])], [Kind(shape)], options)[0]


def fully_connected(
    graph: Graph, x: Tensor, weight: Tensor, bias: Tensor | None, kind: Kind, *, version: int, relu: bool
) -> Tensor:
    """(T, D) by weight (H, D) and bias (H,) -> (T, H)."""
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = _activation(relu=relu)
    return graph.operator("FULLY_CONNECTED", [x, weight, bias], [kind], options, version=version)[0]


def convolution(
    graph: Graph, x: Tensor, filters: Tensor, bias: Tensor, kind: Kind, *, version: int, relu: bool
) -> Tensor:
    """(1, T, C, D) by filters (H, k, 1, D), not padded -> (1, T - k + 1, C, H)."""
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = _activation(relu=relu)
    return graph.operator("CONV_2D", [x, filters, bias], [kind], options, version=version)[0]


def layer_norm(graph: Graph, x: Tensor, norm: spec.LayerNorm) -> Tensor:
    """(T, D) -> (T, D), each row to mean 0 and variance 1, then gamma and beta."""
    centred = subtract(graph, x, mean(graph, x, 1, keep=True))
    variance = mean(graph, multiply(graph, centred, centred), 1, keep=True)
    scale = reciprocal_root(graph, add(graph, variance, number(graph, norm.eps)))
    scaled = multiply(graph, multiply(graph, centred, scale), graph.constant(norm.gamma))
    return add(graph, scaled, graph.constant(norm.beta))


def _activation(*, relu: bool) -> int:
    kind = schema.ActivationFunctionType
    return int(kind.RELU if relu else kind.NONE)
