"""NetworkSpec -> TFLite, float32, one static chunk of frames.

Networks with a state get it as named inputs and outputs (LiteRT's CompiledModel refuses hidden state);
bidirectional ones, whose windows stand alone, get the fused operator. Letters: T time, W wrist, E electrode,
F bin, D and H features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from edge.features import BINS
from edge.manifest import TensorSpec
from edge.runtimes.signature import FRAMES, LOG_PROBS, next_name
from edge.samples import ELECTRODES, WRISTS
from export.shapes import check_chunk
from export.tflite import lstm, ops
from export.tflite.graph import Graph, Tensor
from personalize import spec


def lower(network: spec.NetworkSpec, chunk_frames: int, state: Sequence[TensorSpec]) -> bytes:
    """The .tflite file that maps `chunk_frames` frames, and `state` before them, to emissions and new state.

    Raises BadInput where the chunk or the state does not fit the network.
    """
    check_chunk(network, chunk_frames, state)
    graph = Graph(f"qwrist {network.name}")
    x = graph.input(FRAMES, (chunk_frames, WRISTS, ELECTRODES, BINS))
    held = [graph.input(tensor.name, tensor.shape) for tensor in state]
    after: list[Tensor] = []
    for layer in network.layers:
        x, new = _lower_layer(graph, layer, x, held[len(after) :])
        after += new
    graph.output(LOG_PROBS, x)
    for tensor, value in zip(state, after, strict=True):
        graph.output(next_name(tensor.name), ops.reshape(graph, value, tensor.shape))
    return graph.serialize()


def _lower_layer(  # noqa: C901  (one case a layer)
    graph: Graph, layer: spec.Layer, x: Tensor, held: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """One layer's output, and the new state of the tensors that it took from the front of `held`."""
    match layer:
        case spec.CausalConv():
            return _causal_conv(graph, layer, x, held[0])
        case spec.SkipLstm(cell):
            return _skip_lstm(graph, cell, x, held[0], held[1])
        case spec.ElectrodeAffine(scale, shift):
            scaled = ops.multiply(graph, x, graph.constant(scale[None, :, :, None]))
            y = ops.add(graph, scaled, graph.constant(shift[None, :, :, None]))
        case spec.PoolTime(stride):
            time, *rest = x.shape
            y = ops.mean(graph, ops.reshape(graph, x, (time // stride, stride, *rest)), 1)
        case spec.BandLinear():
            y = _band_linear(graph, layer, x)
        case spec.LayerNorm():
            y = ops.layer_norm(graph, x, layer)
        case spec.BiLstm():
            y = lstm.bidirectional(graph, layer, x)
        case spec.ResidualMlp(w1, b1, w2, b2, norm):
            inner = ops.linear(graph, x, w1, b1, relu=True)
            y = ops.layer_norm(graph, ops.add(graph, x, ops.linear(graph, inner, w2, b2)), norm)
        case spec.Linear(weight, bias):
            y = ops.linear(graph, x, weight, bias)
        case spec.LogSoftmax():
            y = ops.log_softmax(graph, x)
        case _:
            assert_never(layer)
    return y, []


def _band_linear(graph: Graph, layer: spec.BandLinear, x: Tensor) -> Tensor:
    """All rotations of a wrist in one product: (T, W, E, F) -> (T, W * H)."""
    time, rotations = x.shape[0], len(layer.offsets)
    outputs = []
    for wrist, (weight, bias) in enumerate(zip(layer.weight, layer.bias, strict=True)):
        band = ops.take(graph, x, 1, wrist, wrist + 1)  # (T, 1, E, F)
        rolled = [ops.roll(graph, band, 2, offset) for offset in layer.offsets]
        rows = ops.flatten(graph, ops.concatenate(graph, rolled, 0))  # (R * T, E * F)
        y = ops.linear(graph, rows, weight.reshape(len(weight), -1), bias, relu=True)
        if rotations > 1:
            y = ops.mean(graph, ops.reshape(graph, y, (rotations, time, len(weight))), 0)
        outputs.append(y)
    return ops.concatenate(graph, outputs, 1)


def _causal_conv(
    graph: Graph, layer: spec.CausalConv, x: Tensor, past: Tensor
) -> tuple[Tensor, list[Tensor]]:
    extended = ops.concatenate(graph, [past, x], 0)  # (k - 1 + T, D)
    y = ops.convolve(graph, extended, layer.weight, layer.bias, relu=True)
    new_past = ops.take(graph, extended, 0, x.shape[0], extended.shape[0])
    return ops.layer_norm(graph, ops.add(graph, x, y), layer.norm), [new_past]


def _skip_lstm(
    graph: Graph, cell: spec.LstmCell, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, list[Tensor]]:
    row = (1, cell.recurrent.shape[1])
    y, h, c = lstm.unrolled(graph, cell, x, ops.reshape(graph, h, row), ops.reshape(graph, c, row))
    return ops.concatenate(graph, [y, x], 1), [h, c]
