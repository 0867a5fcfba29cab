"""Each layer of a NetworkSpec as TFLite operators, float32 in and out.

Letters: T time, W wrist, E electrode, F bin, D and H features, C channels of a TDS plane.
"""

from __future__ import annotations

from typing import assert_never

from export.tflite import lstm, ops
from export.tflite.arithmetic import Arithmetic
from export.tflite.carried import Carried
from export.tflite.graph import Tensor
from export.tflite.lstm import CellState, Labels
from personalize import spec


def lower_layer(  # noqa: C901  (one case a layer)
    arithmetic: Arithmetic, layer: spec.Layer, x: Tensor, carried: Carried, name: str
) -> Tensor:
    """One layer's output; `name`, unique in the network, labels what it stores."""
    graph = arithmetic.graph
    match layer:
        case spec.CausalConv() | spec.TdsConv():
            return _residual_conv(arithmetic, layer, x, carried, name)
        case spec.SkipLstm(cell):
            return _skip_lstm(arithmetic, cell, x, carried, name)
        case spec.BiLstm(lookahead=lookahead):
            if lookahead is None:
                return lstm.fused(arithmetic, layer, x)
            return _latency_controlled(arithmetic, layer, x, lookahead, carried, name)
        case spec.ElectrodeAffine(scale, shift):
            scaled = ops.multiply(graph, x, graph.constant(scale[None, :, :, None]))
            return ops.add(graph, scaled, graph.constant(shift[None, :, :, None]))
        case spec.PoolTime(stride):
            time, *rest = x.shape
            return ops.mean(graph, ops.reshape(graph, x, (time // stride, stride, *rest)), 1)
        case spec.BandLinear():
            return _band_linear(arithmetic, layer, x, name)
        case spec.LayerNorm():
            return ops.layer_norm(graph, x, layer)
        case spec.ResidualMlp():
            return _residual_mlp(arithmetic, layer, x, name)
        case spec.DropTail(rows):
            return ops.take(graph, x, 0, 0, x.shape[0] - rows)
        case spec.Linear(weight, bias):
            # The logits decide: 16 bits cost little here and 8 would cost most of all that int8 costs.
            stored = arithmetic.store(x, f"{name}.in", 16)
            return arithmetic.load(arithmetic.linear(stored, weight, bias, f"{name}.out"))
        case spec.LogSoftmax():
            return ops.log_softmax(graph, x)
        case spec.FrontEnd():
            raise TypeError("a front end comes first and takes samples: front_end.lower_front_end")
        case _:
            assert_never(layer)


def _band_linear(arithmetic: Arithmetic, layer: spec.BandLinear, x: Tensor, name: str) -> Tensor:
    """All rotations of a wrist in one product: (T, W, E, F) -> (T, W * H)."""
    graph, time, rotations = arithmetic.graph, x.shape[0], len(layer.offsets)
    stored = arithmetic.store(x, f"{name}.in")
    outputs = []
    for wrist, (weight, bias) in enumerate(zip(layer.weight, layer.bias, strict=True)):
        band = ops.take(graph, stored, 1, wrist, wrist + 1)  # (T, 1, E, F)
        rolled = [ops.roll(graph, band, 2, offset) for offset in layer.offsets]
        rows = ops.flatten(graph, ops.concatenate(graph, rolled, 0))  # (R * T, E * F)
        flat = weight.reshape(len(weight), -1)
        y = arithmetic.load(arithmetic.linear(rows, flat, bias, f"{name}.out", relu=True))
        if rotations > 1:
            y = ops.mean(graph, ops.reshape(graph, y, (rotations, time, len(weight))), 0)
        outputs.append(y)
    return ops.concatenate(graph, outputs, 1)


def _residual_conv(
    arithmetic: Arithmetic,
    layer: spec.CausalConv | spec.TdsConv,
    x: Tensor,
    carried: Carried,
    name: str,
) -> Tensor:
    """LayerNorm(x + ReLU(conv(past and x))): a plane's columns are an image's width, its channels depth."""
    graph, (time, features) = arithmetic.graph, x.shape
    channels = layer.weight.shape[0]
    columns = features // channels
    label, past = carried.take(8)
    extended = ops.concatenate(graph, [past, arithmetic.store(x, label)], 0)  # (k - 1 + T, D)
    carried.leave(ops.take(graph, extended, 0, time, extended.shape[0]))
    planes = ops.reshape(graph, extended, (extended.shape[0], channels, columns))
    if columns > 1:
        planes = ops.transpose(graph, planes, (0, 2, 1))
    image = ops.reshape(graph, planes, (1, extended.shape[0], columns, channels))
    y = arithmetic.convolve(image, layer.weight, layer.bias, f"{name}.conv")  # (1, T, columns, C)
    y = ops.reshape(graph, y, (time, columns, channels))
    if columns > 1:
        y = ops.transpose(graph, y, (0, 2, 1))
    residual = ops.add(graph, x, arithmetic.load(ops.reshape(graph, y, (time, features))))
    return ops.layer_norm(graph, residual, layer.norm)


def _residual_mlp(arithmetic: Arithmetic, layer: spec.ResidualMlp, x: Tensor, name: str) -> Tensor:
    stored = arithmetic.store(x, f"{name}.in")
    inner = arithmetic.linear(stored, layer.w1, layer.b1, f"{name}.inner", relu=True)
    outer = arithmetic.load(arithmetic.linear(inner, layer.w2, layer.b2, f"{name}.outer"))
    return ops.layer_norm(arithmetic.graph, ops.add(arithmetic.graph, x, outer), layer.norm)


def _skip_lstm(arithmetic: Arithmetic, cell: spec.LstmCell, x: Tensor, carried: Carried, name: str) -> Tensor:
    graph, hidden = arithmetic.graph, cell.recurrent.shape[1]
    (h_name, h), (c_name, c) = carried.take(16, lstm.HIDDEN_LIMIT), carried.take(16, lstm.CELL_LIMIT)
    start = CellState((ops.reshape(graph, h, (1, hidden)),), ops.reshape(graph, c, (1, hidden)))
    stored = arithmetic.store(x, f"{name}.in")
    states = lstm.unrolled(arithmetic, [cell], [stored], start, Labels.of(name, h_name, c_name))
    carried.leave(ops.reshape(graph, states[-1].h[0], (hidden,)))
    carried.leave(ops.reshape(graph, states[-1].c, (hidden,)))
    said = ops.concatenate(graph, [state.h[0] for state in states], 0)
    return ops.concatenate(graph, [arithmetic.load(said), x], 1)


def _latency_controlled(
    arithmetic: Arithmetic, layer: spec.BiLstm, x: Tensor, lookahead: int, carried: Carried, name: str
) -> Tensor:
    """The forward state is that before the lookahead; the backward direction starts from zero after it."""
    graph, (time, _), hidden = arithmetic.graph, x.shape, layer.forward.recurrent.shape[1]
    (h_name, h), (c_name, c) = carried.take(16, lstm.HIDDEN_LIMIT), carried.take(16, lstm.CELL_LIMIT)
    h, c = (ops.reshape(graph, part, (1, hidden)) for part in (h, c))
    start = CellState((h, ops.zeros(graph, h.kind)), ops.concatenate(graph, [c, ops.zeros(graph, c.kind)], 0))
    stored = arithmetic.store(x, f"{name}.in")
    states = lstm.unrolled(
        arithmetic,
        [layer.forward, layer.backward],
        [stored, ops.reverse(graph, stored)],
        start,
        Labels.of(name, h_name, c_name),
    )
    kept = states[time - lookahead - 1]
    carried.leave(ops.reshape(graph, kept.h[0], (hidden,)))
    carried.leave(ops.reshape(graph, ops.take(graph, kept.c, 0, 0, 1), (hidden,)))
    forward = ops.concatenate(graph, [state.h[0] for state in states], 0)
    backward = ops.concatenate(graph, [state.h[1] for state in reversed(states)], 0)
    return arithmetic.load(ops.concatenate(graph, [forward, backward], 1))
