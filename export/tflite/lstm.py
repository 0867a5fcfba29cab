"""The LSTM in its two TFLite forms: cells with explicit state, and the fused operator for whole windows.

Letters: T time, D and H features. Gates are in torch's order i, f, g, o, which is TFLite's i, f, c, o.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from edge.samples import Float32
from export.tflite import ops
from export.tflite.arithmetic import Arithmetic, DynamicArithmetic, quantized_weight
from export.tflite.graph import Graph, Kind, Tensor, schema
from personalize import spec

GATES: Final = 4
_FUSED_VERSION: Final = 2  # of BIDIRECTIONAL_SEQUENCE_LSTM: the first with time-major input
_FUSED_HYBRID_VERSION: Final = 3  # the first whose int8 weights are quantised symmetrically


class CellState(NamedTuple):
    """h and c after a step, (1, H) each."""

    h: Tensor
    c: Tensor


def unrolled(
    arithmetic: Arithmetic,
    cell: spec.LstmCell,
    rows: Sequence[Tensor],
    start: CellState | None,
    labels: CellLabels,
) -> list[CellState]:
    """The state after each of `rows`, the input's products (1, 4H), from `start`, or from zero."""
    states: list[CellState] = []
    state = start
    for row in rows:
        state = _step(arithmetic, cell, row, state, labels)
        states.append(state)
    return states


class CellLabels(NamedTuple):
    """What a cell's numbers are stored under."""

    h: str
    c: str
    input: str
    recurrent: str
    gates: str
    product: str

    @classmethod
    def of(cls, name: str, h: str, c: str) -> CellLabels:
        """`h` and `c` may be names of a carried state."""
        return cls(h, c, *(f"{name}.{part}" for part in ("input", "recurrent", "gates", "product")))


def input_rows(arithmetic: Arithmetic, cell: spec.LstmCell, x: Tensor, labels: CellLabels) -> list[Tensor]:
    """(T, D) -> T products with the input weights, (1, 4H) each, taken for all steps at once."""
    products = arithmetic.linear(x, cell.input, cell.bias, labels.input)
    wide = arithmetic.store(products, labels.input, 16)
    return [ops.take(arithmetic.graph, wide, 0, t, t + 1) for t in range(x.shape[0])]


def _step(
    arithmetic: Arithmetic, cell: spec.LstmCell, row: Tensor, state: CellState | None, labels: CellLabels
) -> CellState:
    graph, gates = arithmetic.graph, row
    if state is not None:
        recurrent = arithmetic.linear(state.h, cell.recurrent, None, labels.recurrent)
        gates = arithmetic.add(row, recurrent, labels.gates)
    i, f, g, o = ops.split(graph, gates, GATES, 1)
    c = arithmetic.multiply(ops.sigmoid(graph, i), ops.tanh(graph, g), labels.c)
    if state is not None:
        kept = arithmetic.multiply(ops.sigmoid(graph, f), state.c, labels.c)
        c = arithmetic.add(kept, c, labels.c)
    h = arithmetic.multiply(ops.sigmoid(graph, o), ops.tanh(graph, c), labels.h, 1.0)
    return CellState(h, c)


def fused(arithmetic: Arithmetic, layer: spec.BiLstm, x: Tensor) -> Tensor:
    """(T, D) -> (T, 2H) by the fused operator, whose state is hidden: reset before each window."""
    graph = arithmetic.graph
    hybrid = isinstance(arithmetic, DynamicArithmetic)
    time, features = x.shape
    hidden = layer.forward.recurrent.shape[1]
    options = schema.BidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.mergeOutputs = options.timeMajor = True
    states = [graph.variable(f"{part}_{x.index}", (1, hidden)) for part in ("fw_h", "fw_c", "bw_h", "bw_c")]
    auxiliary: list[Tensor | None] = [None] * 9  # a second input with its weights: unused
    inputs = [
        ops.reshape(graph, x, (time, 1, features)),
        *_direction(graph, layer.forward, hybrid=hybrid),
        *_direction(graph, layer.backward, hybrid=hybrid),
        *states,
        *auxiliary,
    ]
    kind = Kind((time, 1, 2 * hidden))
    version = _FUSED_HYBRID_VERSION if hybrid else _FUSED_VERSION
    (y,) = graph.operator("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, [kind], options, version=version)
    return ops.flatten(graph, y)


def _direction(graph: Graph, cell: spec.LstmCell, *, hybrid: bool) -> list[Tensor | None]:
    def weights(array: Float32) -> list[Tensor | None]:
        """Of each gate; in int8 with one scale a gate, all that the operator takes."""
        parts = np.split(array, GATES)
        if hybrid:
            return [quantized_weight(graph, part, per_tensor=True)[0] for part in parts]
        return [graph.constant(part) for part in parts]

    peepholes: list[Tensor | None] = [None] * 3
    projection: list[Tensor | None] = [None] * 2
    biases = [graph.constant(part) for part in np.split(cell.bias, GATES)]
    return [*weights(cell.input), *weights(cell.recurrent), *peepholes, *biases, *projection]
