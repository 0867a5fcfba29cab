"""NetworkSpec -> ONNX, float32, one static chunk.

Letters: T time, W wrist, E electrode, F bin, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from edge.errors import BadInput
from edge.features import BINS
from edge.manifest import Form
from edge.runtimes.signature import FRAMES, LOG_PROBS, SAMPLES, VALID, next_name
from edge.samples import ELECTRODES, WRISTS
from export.onnx import ops
from export.onnx.front_end import lower_front_end
from export.onnx.graph import Graph, Value
from export.shapes import Lowered, check_form
from personalize import spec


def lower(network: spec.NetworkSpec, form: Form) -> Lowered:
    """The .onnx file of `network` in `form`, with the tensors of edge.runtimes.signature.

    Raises BadInput where the form does not fit the network, or is not float32.
    """
    if form.precision != "float32":
        raise BadInput(f"ONNX is the float32 reference; {form.precision} is for executorch, litert and tflm")
    check_form(network, form)
    graph = Graph(f"qwrist {network.name}")
    if form.takes == "frames":
        x = graph.input(FRAMES, (form.input_frames, WRISTS, ELECTRODES, BINS))
        valid = None
    else:
        dtype = np.int16 if form.takes == "samples_int16" else np.float32
        x = graph.input(SAMPLES, (form.input_samples, WRISTS, ELECTRODES), dtype)
        valid = graph.input(VALID, (form.input_frames, WRISTS))
    held = [graph.input(tensor.name, tensor.shape) for tensor in form.state]
    after: list[Value] = []
    for layer in network.layers:
        if isinstance(layer, spec.FrontEnd):
            x, new = lower_front_end(graph, layer, x, valid, held)
        else:
            x, new = lower_layer(graph, layer, x, held[len(after) :])
        after += new
    graph.output(LOG_PROBS, x)
    for tensor, value in zip(form.state, after, strict=True):
        graph.output(next_name(tensor.name), value)
    return Lowered(graph.serialize(), form)


def lower_layer(
    graph: Graph, layer: spec.Layer, x: Value, held: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """One layer's output, and the new state of the tensors that it took from the front of `held`."""
    match layer:
        case spec.CausalConv() | spec.TdsConv():
            return _causal_conv(graph, layer, x, held[0])
        case spec.SkipLstm(cell):
            swept = ops.lstm(graph, cell, x, (held[0], held[1]))
            return ops.concatenate(graph, [swept.outputs, x], 1), [swept.h, swept.c]
        case spec.BiLstm():
            return _bi_lstm(graph, layer, x, held)
        case _:
            return _pure(graph, layer, x), []


def _pure(graph: Graph, layer: spec.Layer, x: Value) -> Value:
    match layer:
        case spec.ElectrodeAffine(scale, shift):
            scaled = ops.combine(graph, "Mul", x, graph.constant(scale[:, :, None]))
            return ops.combine(graph, "Add", scaled, graph.constant(shift[:, :, None]))
        case spec.PoolTime(stride):
            time, *rest = x.shape
            return ops.mean(graph, ops.reshape(graph, x, (time // stride, stride, *rest)), 1)
        case spec.BandLinear():
            return _band_linear(graph, layer, x)
        case spec.LayerNorm():
            return ops.layer_norm(graph, x, layer)
        case spec.ResidualMlp(w1, b1, w2, b2, norm):
            inner = ops.relu(graph, ops.linear(graph, x, w1, b1))
            return ops.layer_norm(graph, ops.combine(graph, "Add", x, ops.linear(graph, inner, w2, b2)), norm)
        case spec.DropTail(rows):
            return ops.take(graph, x, 0, 0, x.shape[0] - rows)
        case spec.Linear(weight, bias):
            return ops.linear(graph, x, weight, bias)
        case spec.LogSoftmax():
            return graph.node("LogSoftmax", [x], x.shape, axis=-1)
        case spec.FrontEnd() | spec.CausalConv() | spec.TdsConv() | spec.SkipLstm() | spec.BiLstm():
            raise TypeError(f"{type(layer).__name__} carries a state")
        case _:
            assert_never(layer)


def _band_linear(graph: Graph, layer: spec.BandLinear, x: Value) -> Value:
    """Rolling the ring one way is rolling the weights the other way: (T, W, E, F) -> (T, W * H)."""
    time, hidden = x.shape[0], layer.weight.shape[1]
    wrists = []
    for wrist in range(WRISTS):
        weight = np.concatenate([np.roll(layer.weight[wrist], -offset, 1) for offset in layer.offsets])
        bias = np.tile(layer.bias[wrist], len(layer.offsets))
        band = ops.reshape(graph, ops.take(graph, x, 1, wrist, wrist + 1), (time, ELECTRODES * BINS))
        y = ops.relu(graph, ops.linear(graph, band, weight.reshape(len(weight), -1), bias))
        rotations = ops.reshape(graph, y, (time, len(layer.offsets), hidden))
        wrists.append(ops.mean(graph, rotations, 1))
    return ops.concatenate(graph, wrists, 1)


def _causal_conv(
    graph: Graph, layer: spec.CausalConv | spec.TdsConv, x: Value, past: Value
) -> tuple[Value, list[Value]]:
    """Features as planes of channels and columns (one column for a CausalConv), convolved along time."""
    extended = ops.concatenate(graph, [past, x], 0)  # (k - 1 + T, D)
    rows, width = extended.shape
    channels, _, kernel = layer.weight.shape
    columns, time = width // channels, x.shape[0]
    planes = ops.transpose(graph, ops.reshape(graph, extended, (rows, channels, columns)), (1, 0, 2))
    batch = ops.reshape(graph, planes, (1, channels, rows, columns))
    weights = [graph.constant(layer.weight[..., None]), graph.constant(layer.bias)]
    y = graph.node("Conv", [batch, *weights], (1, channels, time, columns), kernel_shape=[kernel, 1])
    flat = ops.transpose(graph, ops.reshape(graph, y, (channels, time, columns)), (1, 0, 2))
    y = ops.relu(graph, ops.reshape(graph, flat, (time, width)))
    new_past = ops.take(graph, extended, 0, time, rows)
    return ops.layer_norm(graph, ops.combine(graph, "Add", x, y), layer.norm), [new_past]


def _bi_lstm(graph: Graph, layer: spec.BiLstm, x: Value, held: Sequence[Value]) -> tuple[Value, list[Value]]:
    """Forward in two sweeps where the state is taken before the lookahead, backward in one."""
    backward = ops.lstm(graph, layer.backward, x, None, reverse=True).outputs
    if layer.lookahead is None:
        forward = ops.lstm(graph, layer.forward, x, None).outputs
        return ops.concatenate(graph, [forward, backward], 1), []
    kept = x.shape[0] - layer.lookahead
    sweep = ops.lstm(graph, layer.forward, ops.take(graph, x, 0, 0, kept), (held[0], held[1]))
    parts = [sweep.outputs]
    if layer.lookahead:
        ahead = ops.take(graph, x, 0, kept, x.shape[0])
        parts.append(ops.lstm(graph, layer.forward, ahead, (sweep.h, sweep.c)).outputs)
    forward = ops.concatenate(graph, parts, 0)
    return ops.concatenate(graph, [forward, backward], 1), [sweep.h, sweep.c]
