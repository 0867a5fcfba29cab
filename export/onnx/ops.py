"""The few operations that the layers are made of, with their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge.samples import Float32
from export.onnx.graph import Graph, Value
from personalize import spec


class Swept(NamedTuple):
    """What one direction of an LSTM gives: outputs (T, H), then h and c after the last row, each (H,)."""

    outputs: Value
    h: Value
    c: Value


def reshape(graph: Graph, x: Value, shape: Sequence[int]) -> Value:
    """The same numbers in another shape."""
    return graph.node("Reshape", [x, graph.constant(np.array(shape, np.int64))], shape)


def transpose(graph: Graph, x: Value, order: Sequence[int]) -> Value:
    """Axes in another order."""
    return graph.node("Transpose", [x], [x.shape[axis] for axis in order], perm=list(order))


def take(graph: Graph, x: Value, axis: int, start: int, stop: int) -> Value:
    """Positions start .. stop - 1 of an axis."""
    bounds = [graph.constant(np.array([value], np.int64)) for value in (start, stop, axis)]
    shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
    return graph.node("Slice", [x, *bounds], shape)


def concatenate(graph: Graph, parts: Sequence[Value], axis: int) -> Value:
    """One after the other along an axis."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return graph.node("Concat", list(parts), shape, axis=axis)


def mean(graph: Graph, x: Value, axis: int) -> Value:
    """Over one axis, which goes."""
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return graph.node("ReduceMean", [x], shape, axes=[axis], keepdims=0)


def combine(graph: Graph, operator: str, a: Value, b: Value) -> Value:
    """Add, Sub, Mul, Div, Min or Max, broadcast as NumPy does."""
    return graph.node(operator, [a, b], np.broadcast_shapes(a.shape, b.shape))


def constant(graph: Graph, value: float) -> Value:
    """One number."""
    return graph.constant(np.array(value, np.float32))


def linear(graph: Graph, x: Value, weight: Float32, bias: Float32) -> Value:
    """(T, D) with weight (K, D) and bias (K,) -> (T, K)."""
    inputs = [x, graph.constant(weight), graph.constant(bias)]
    return graph.node("Gemm", inputs, (x.shape[0], len(weight)), transB=1)


def relu(graph: Graph, x: Value) -> Value:
    """max(x, 0)."""
    return graph.node("Relu", [x], x.shape)


def layer_norm(graph: Graph, x: Value, layer: spec.LayerNorm) -> Value:
    """Over the last axis."""
    inputs = [x, graph.constant(layer.gamma), graph.constant(layer.beta)]
    return graph.node("LayerNormalization", inputs, x.shape, axis=-1, epsilon=layer.eps)


def lstm(
    graph: Graph, cell: spec.LstmCell, x: Value, start: tuple[Value, Value] | None, *, reverse: bool = False
) -> Swept:
    """One direction over (T, D) by the LSTM operator, from h and c (H,) or from zero."""
    time, width = x.shape
    hidden = cell.recurrent.shape[1]
    weights = [graph.constant(_iofc(part)[None]) for part in (cell.input, cell.recurrent)]
    bias = graph.constant(np.concatenate([_iofc(cell.bias), np.zeros_like(cell.bias)])[None])
    held = [None, None] if start is None else [reshape(graph, value, (1, 1, hidden)) for value in start]
    rows = reshape(graph, x, (time, 1, width))
    outputs, h, c = graph.nodes(
        "LSTM",
        [rows, *weights, bias, None, *held],
        [(time, 1, 1, hidden), (1, 1, hidden), (1, 1, hidden)],
        hidden_size=hidden,
        direction="reverse" if reverse else "forward",
    )
    flat = reshape(graph, outputs, (time, hidden))
    return Swept(flat, reshape(graph, h, (hidden,)), reshape(graph, c, (hidden,)))


def _iofc(gates: Float32) -> Float32:
    """Torch orders the gates i, f, g, o; ONNX i, o, f, c, and its c is torch's g."""
    i, f, g, o = np.split(gates, 4)
    return np.concatenate([i, o, f, g])
