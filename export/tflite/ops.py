"""TFLite's operators as functions of tensors: each appends to the graph and returns its result.

Only what the lowering uses. Letters: T time, D and H features.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from edge.samples import Float32
from export.tflite.graph import Graph, Tensor, schema
from personalize import spec


def _binary(graph: Graph, name: str, a: Tensor, b: Tensor, options: object) -> Tensor:
    return graph.operator(name, [a, b], [np.broadcast_shapes(a.shape, b.shape)], options)[0]


def _unary(graph: Graph, name: str, x: Tensor, options: object = None) -> Tensor:
    return graph.operator(name, [x], [x.shape], options)[0]


def _integers(graph: Graph, values: Sequence[int]) -> Tensor:
    return graph.constant(np.array(values, np.int32))


def add(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The sum, broadcast."""
    return _binary(graph, "ADD", a, b, schema.AddOptionsT())


def subtract(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The difference a - b, broadcast."""
    return _binary(graph, "SUB", a, b, schema.SubOptionsT())


def multiply(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """The product, element by element, broadcast."""
    return _binary(graph, "MUL", a, b, schema.MulOptionsT())


def sigmoid(graph: Graph, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return _unary(graph, "LOGISTIC", x)


def tanh(graph: Graph, x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _unary(graph, "TANH", x)


def log_softmax(graph: Graph, x: Tensor) -> Tensor:
    """Over the last axis."""
    return _unary(graph, "LOG_SOFTMAX", x, schema.LogSoftmaxOptionsT())


def reshape(graph: Graph, x: Tensor, shape: Sequence[int]) -> Tensor:
    """The same numbers in `shape`; nothing is emitted where the shape is that already."""
    if x.shape == tuple(shape):
        return x
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return graph.operator("RESHAPE", [x, _integers(graph, shape)], [shape], options)[0]


def flatten(graph: Graph, x: Tensor) -> Tensor:
    """(T, ...) -> (T, D)."""
    return reshape(graph, x, (x.shape[0], prod(x.shape[1:])))


def take(graph: Graph, x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x[start:stop] along `axis`."""
    if (start, stop) == (0, x.shape[axis]):
        return x
    begin, size = [0] * len(x.shape), list(x.shape)
    begin[axis], size[axis] = start, stop - start
    inputs = [x, _integers(graph, begin), _integers(graph, size)]
    return graph.operator("SLICE", inputs, [size], schema.SliceOptionsT())[0]


def split(graph: Graph, x: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Equal parts of the last axis."""
    options = schema.SplitOptionsT()
    options.numSplits = parts
    shape = (*x.shape[:-1], x.shape[-1] // parts)
    axis = graph.constant(np.array(len(x.shape) - 1, np.int32))
    return graph.operator("SPLIT", [axis, x], [shape] * parts, options)


def concatenate(graph: Graph, parts: Sequence[Tensor], axis: int) -> Tensor:
    """Parts one after another along `axis`; a single one is itself."""
    if len(parts) == 1:
        return parts[0]
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return graph.operator("CONCATENATION", parts, [shape], options)[0]


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
    shape = [*x.shape[:axis], *([1] if keep else []), *x.shape[axis + 1 :]]
    return graph.operator("MEAN", [x, _integers(graph, [axis])], [shape], options)[0]


def linear(graph: Graph, x: Tensor, weight: Float32, bias: Float32 | None, *, relu: bool = False) -> Tensor:
    """(T, D) by weight (H, D) and bias (H,) -> (T, H)."""
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = _activation(relu=relu)
    inputs = [x, graph.constant(weight), None if bias is None else graph.constant(bias)]
    version = 1 if bias is not None else 6  # 6 made the bias optional
    return graph.operator("FULLY_CONNECTED", inputs, [(x.shape[0], len(weight))], options, version=version)[0]


def convolve(graph: Graph, x: Tensor, weight: Float32, bias: Float32, *, relu: bool = False) -> Tensor:
    """(T, D) by weight (H, D, k), as torch's Conv1d without padding -> (T - k + 1, H)."""
    time, features = x.shape
    hidden, _, kernel = weight.shape
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = _activation(relu=relu)
    image = reshape(graph, x, (1, time, 1, features))
    filters = graph.constant(weight.transpose(0, 2, 1)[:, :, None, :])  # (H, k, 1, D)
    shape = (1, time - kernel + 1, 1, hidden)
    (y,) = graph.operator("CONV_2D", [image, filters, graph.constant(bias)], [shape], options)
    return reshape(graph, y, shape[1::2])


def layer_norm(graph: Graph, x: Tensor, norm: spec.LayerNorm) -> Tensor:
    """(T, D) -> (T, D), each row to mean 0 and variance 1, then gamma and beta."""
    centred = subtract(graph, x, mean(graph, x, 1, keep=True))
    variance = mean(graph, multiply(graph, centred, centred), 1, keep=True)
    scale = _unary(graph, "RSQRT", add(graph, variance, graph.constant(np.array([norm.eps], np.float32))))
    scaled = multiply(graph, multiply(graph, centred, scale), graph.constant(norm.gamma))
    return add(graph, scaled, graph.constant(norm.beta))


def _activation(*, relu: bool) -> int:
    kind = schema.ActivationFunctionType
    return int(kind.RELU if relu else kind.NONE)
