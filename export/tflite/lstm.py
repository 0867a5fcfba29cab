"""The LSTM in its two TFLite forms: cells with explicit state, and the fused operator for whole windows.

Letters: T time, D and H features. Gates are in torch's order i, f, g, o, which is TFLite's i, f, c, o.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge.samples import Float32
from export.tflite import ops
from export.tflite.graph import Graph, Tensor, schema
from personalize import spec

GATES: Final = 4
_FUSED_VERSION: Final = 2  # of BIDIRECTIONAL_SEQUENCE_LSTM: the first with time-major input


def unrolled(
    graph: Graph, cell: spec.LstmCell, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(T, D) and h, c (1, H) -> (T, H) and the new h, c.

    The input's product is taken for all steps at once; each step reads the same recurrent weights.
    """
    from_input = ops.linear(graph, x, cell.input, cell.bias)  # (T, 4H)
    outputs = []
    for t in range(x.shape[0]):
        recurrent = ops.linear(graph, h, cell.recurrent, None)  # (1, 4H)
        gates = ops.add(graph, ops.take(graph, from_input, 0, t, t + 1), recurrent)
        i, f, g, o = ops.split(graph, gates, GATES)
        kept = ops.multiply(graph, ops.sigmoid(graph, f), c)
        written = ops.multiply(graph, ops.sigmoid(graph, i), ops.tanh(graph, g))
        c = ops.add(graph, kept, written)
        h = ops.multiply(graph, ops.sigmoid(graph, o), ops.tanh(graph, c))
        outputs.append(h)
    return ops.concatenate(graph, outputs, 0), h, c


def bidirectional(graph: Graph, layer: spec.BiLstm, x: Tensor) -> Tensor:
    """(T, D) -> (T, 2H) by the fused operator, whose state is hidden: reset before each window."""
    time, features = x.shape
    hidden = layer.forward.recurrent.shape[1]
    options = schema.BidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.mergeOutputs = options.timeMajor = True
    states = [graph.variable(f"{part}_{x.index}", (1, hidden)) for part in ("fw_h", "fw_c", "bw_h", "bw_c")]
    auxiliary: list[Tensor | None] = [None] * 9  # a second input with its weights: unused
    inputs = [
        ops.reshape(graph, x, (time, 1, features)),
        *_direction(graph, layer.forward),
        *_direction(graph, layer.backward),
        *states,
        *auxiliary,
    ]
    shape = (time, 1, 2 * hidden)
    (y,) = graph.operator("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, [shape], options, version=_FUSED_VERSION)
    return ops.flatten(graph, y)


def _direction(graph: Graph, cell: spec.LstmCell) -> list[Tensor | None]:
    def per_gate(array: Float32) -> list[Tensor | None]:
        return [graph.constant(part) for part in np.split(array, GATES)]

    peepholes: list[Tensor | None] = [None] * 3
    projection: list[Tensor | None] = [None] * 2
    return [
        *per_gate(cell.input),
        *per_gate(cell.recurrent),
        *peepholes,
        *per_gate(cell.bias),
        *projection,
    ]
