"""The front end in ONNX: raw samples to frames, filter and running normalisation carried in the state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge.features import BINS, HOP, N_FFT
from edge.samples import ELECTRODES, WRISTS
from export.onnx import ops
from export.onnx.graph import Graph, Value
from personalize import spec

_LANES = WRISTS * ELECTRODES


def lower_front_end(
    graph: Graph, layer: spec.FrontEnd, samples: Value, valid: Value | None, held: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """(N, W, E) samples and valid (T, W) -> (T, W, E, F) frames, and the state as personalize.spec has it."""
    if valid is None:
        raise TypeError("a front end takes samples and valid")
    stream, filter_after = _filtered(graph, layer, samples, held[0])
    y = _log_power(graph, layer, stream)
    mask = ops.reshape(graph, valid, (y.shape[0], WRISTS, 1, 1))
    if layer.norm is None:
        return ops.combine(graph, "Mul", y, mask), [filter_after]
    y, norm_after = _running_norm(graph, layer.norm, y, mask, held[1:4], y.shape[0] - layer.lookahead)
    return y, [filter_after, *norm_after]


def _filtered(graph: Graph, layer: spec.FrontEnd, samples: Value, state: Value) -> tuple[Value, Value]:
    """A hop at a time: (N, W * E) filtered samples, and the filter's state where the next call starts."""
    hops = samples.shape[0] // HOP
    taken = hops - (N_FFT // HOP - 1) - layer.lookahead  # hops that the next call will not be given again
    x = graph.node("Cast", [samples], samples.shape, to=1)  # 1 is float32; samples may be int16
    if layer.uv_per_lsb is not None:
        x = ops.combine(graph, "Mul", x, ops.constant(graph, layer.uv_per_lsb))
    x = ops.reshape(graph, x, (hops * HOP, _LANES))
    s = ops.reshape(graph, state, (2, _LANES))
    matrix = graph.constant(layer.hop_filter)
    outputs, after = [], s
    for hop in range(hops):
        both = ops.concatenate(graph, [ops.take(graph, x, 0, hop * HOP, (hop + 1) * HOP), s], 0)
        product = graph.node("MatMul", [matrix, both], (HOP + 2, _LANES))
        outputs.append(ops.take(graph, product, 0, 0, HOP))
        s = ops.take(graph, product, 0, HOP, HOP + 2)
        after = s if hop + 1 == taken else after
    return ops.concatenate(graph, outputs, 0), ops.reshape(graph, after, state.shape)


def _log_power(graph: Graph, layer: spec.FrontEnd, stream: Value) -> Value:
    """(N, W * E) filtered samples -> (T, W, E, F) log10 power."""
    frames = (stream.shape[0] - N_FFT) // HOP + 1
    windows = [
        ops.reshape(graph, ops.take(graph, stream, 0, HOP * t, HOP * t + N_FFT), (1, N_FFT, _LANES))
        for t in range(frames)
    ]
    batch = ops.concatenate(graph, windows, 0)  # (T, 64, W * E)
    spectrum = graph.node("MatMul", [graph.constant(layer.basis), batch], (frames, 2 * BINS, _LANES))
    squares = ops.combine(graph, "Mul", spectrum, spectrum)
    real, imaginary = (ops.take(graph, squares, 1, start, start + BINS) for start in (0, BINS))
    power = ops.combine(graph, "Add", real, imaginary)
    power = ops.combine(graph, "Add", power, ops.constant(graph, layer.floor))
    natural = graph.node("Log", [power], power.shape)
    log10 = ops.combine(graph, "Mul", natural, ops.constant(graph, 1 / math.log(10)))
    return ops.reshape(graph, ops.transpose(graph, log10, (0, 2, 1)), (frames, WRISTS, ELECTRODES, BINS))


def _running_norm(
    graph: Graph, start: spec.NormStart, y: Value, mask: Value, held: Sequence[Value], taken: int
) -> tuple[Value, list[Value]]:
    """Frame by frame, each by statistics that include itself; the state after `taken` frames."""
    begin = [
        graph.constant(start.mean),
        graph.constant(start.variance),
        graph.constant(np.full(WRISTS, start.prior_frames, np.float32)),
    ]
    mean, variance, weight = (
        ops.combine(graph, "Add", value, first) for value, first in zip(held, begin, strict=True)
    )
    weight = ops.reshape(graph, weight, (WRISTS, 1, 1))
    rows, after = [], [mean, variance, weight]
    for t in range(y.shape[0]):
        frame = ops.reshape(graph, ops.take(graph, y, 0, t, t + 1), y.shape[1:])
        worn = ops.reshape(graph, ops.take(graph, mask, 0, t, t + 1), mask.shape[1:])
        row, mean, variance, weight = _norm_frame(graph, start, frame, worn, (mean, variance, weight))
        rows.append(ops.reshape(graph, row, (1, *row.shape)))
        after = [mean, variance, weight] if t + 1 == taken else after
    after[2] = ops.reshape(graph, after[2], (WRISTS,))
    relative = [ops.combine(graph, "Sub", value, first) for value, first in zip(after, begin, strict=True)]
    return ops.concatenate(graph, rows, 0), relative


def _norm_frame(
    graph: Graph, start: spec.NormStart, y: Value, worn: Value, held: tuple[Value, Value, Value]
) -> tuple[Value, Value, Value, Value]:
    """One frame (W, E, F) normalised, then mean, variance and weight after it."""

    def of(operator: str, a: Value, b: Value) -> Value:
        return ops.combine(graph, operator, a, b)

    mean, variance, weight = held
    horizon, floor = (ops.constant(graph, value) for value in (start.horizon_frames, start.variance_floor))
    weight = of("Min", of("Add", weight, worn), horizon)
    share = of("Div", worn, weight)
    before = of("Sub", y, mean)
    mean = of("Add", mean, of("Mul", share, before))
    rest = of("Sub", y, mean)
    variance = of("Add", variance, of("Mul", share, of("Sub", of("Mul", before, rest), variance)))
    deviation = of("Max", variance, floor)
    deviation = graph.node("Sqrt", [deviation], deviation.shape)
    return of("Mul", worn, of("Div", rest, deviation)), mean, variance, weight
