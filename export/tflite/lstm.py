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
HIDDEN_LIMIT: Final = 1.0  # of h, a product of a sigmoid and a tanh
# Of c in int16. A cell that counts grows without end (566 in 90 s of a demo's wearer), and a scale that holds
# all of it loses what the others say; held at 64 it is as saturated as it was, tanh(c) being 1 from 9 on
# (docs/decisions/0005-static-int8.md).
CELL_LIMIT: Final = 64.0
_SATURATED: Final = 8.0  # a gate at 8 is open but for 3e-4: a wider range says no more, a narrower one less
_FUSED_VERSION: Final = 2  # of BIDIRECTIONAL_SEQUENCE_LSTM: the first with time-major input
_FUSED_HYBRID_VERSION: Final = 3  # the first whose int8 weights are quantised symmetrically


class Labels(NamedTuple):
    """What the numbers of a layer's cells are stored under."""

    h: str
    c: str
    input: str
    recurrent: str
    gates: str

    @classmethod
    def of(cls, layer: str, h: str, c: str) -> Labels:
        """Of `layer`, whose carried state is `h` and `c`."""
        return cls(h, c, f"{layer}.input", f"{layer}.recurrent", f"{layer}.gates")


class CellState(NamedTuple):
    """After a step: h of each direction (1, H), c of all of them (N, H)."""

    h: tuple[Tensor, ...]
    c: Tensor


def unrolled(
    arithmetic: Arithmetic,
    cells: Sequence[spec.LstmCell],
    inputs: Sequence[Tensor],
    start: CellState,
    labels: Labels,
) -> list[CellState]:
    """The state after each step of N cells of one size, each over its own input (T, D).

    The products with the inputs are taken for all steps at once, and what is done to each element is done to
    all cells together: a chunk of a bidirectional network has thousands of operators, and each has its price.
    """
    graph, hidden = arithmetic.graph, cells[0].recurrent.shape[1]
    time, count = inputs[0].shape[0], len(cells)
    products = [
        arithmetic.linear(x, cell.input, cell.bias, labels.input)
        for cell, x in zip(cells, inputs, strict=True)
    ]
    wide = arithmetic.store(ops.concatenate(graph, products, 1), labels.input, 16)  # (T, N * 4H)
    rows = ops.reshape(graph, wide, (time * count, GATES * hidden))
    states = [start]
    for t in range(time):
        row = ops.take(graph, rows, 0, t * count, (t + 1) * count)  # (N, 4H)
        states.append(_step(arithmetic, cells, row, states[-1], labels))
    return states[1:]


def _step(
    arithmetic: Arithmetic,
    cells: Sequence[spec.LstmCell],
    row: Tensor,
    state: CellState,
    labels: Labels,
) -> CellState:
    graph, hidden = arithmetic.graph, state.c.shape[1]
    recurrent = [
        arithmetic.linear(h, cell.recurrent, None, labels.recurrent)
        for cell, h in zip(cells, state.h, strict=True)
    ]
    gates = arithmetic.add(row, ops.concatenate(graph, recurrent, 0), labels.gates, _SATURATED)  # (N, 4H)
    i, f, _, o = ops.split(graph, ops.sigmoid(graph, gates), GATES, 1)  # one call is cheaper than three
    g = ops.tanh(graph, ops.take(graph, gates, 1, 2 * hidden, 3 * hidden))
    kept = arithmetic.multiply(f, state.c, labels.c, CELL_LIMIT)
    c = arithmetic.add(kept, arithmetic.multiply(i, g, labels.c, CELL_LIMIT), labels.c, CELL_LIMIT)
    h = arithmetic.multiply(o, ops.tanh(graph, c), labels.h, HIDDEN_LIMIT)
    return CellState(ops.split(graph, h, len(cells), 0), c)


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
