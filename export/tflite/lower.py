"""NetworkSpec -> TFLite: one static chunk of frames or samples, its state named inputs and outputs.

Hidden state (variables) is what LiteRT's CompiledModel refuses and a microcontroller cannot save; only whole
windows, which carry none, use the fused operator that has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.errors import BadInput
from edge.manifest import Form
from edge.samples import Float32
from export.shapes import Lowered, check_form
from export.tflite.arithmetic import Arithmetic, DynamicArithmetic, StaticArithmetic
from export.tflite.calibrate import calibrated_ranges
from export.tflite.graph import Graph
from export.tflite.network import lower_network
from personalize import spec


def lower(
    network: spec.NetworkSpec,
    form: Form,
    calibration: Sequence[Float32] = (),
    *,
    per_tensor: bool = False,
) -> Lowered:
    """The .tflite file of `network` in `form`, and the form with its state as the file stores it.

    `calibration`: recordings (T, W, E, F) as the network takes them, by which static int8 sets its scales.
    `per_tensor`: dynamic int8 with one scale a matrix, all that tflite-runtime 2.14 can run; it runs no
    static int8 at all. Raises BadInput where form or calibration do not fit the network.
    """
    check_form(network, form)
    graph = Graph(f"qwrist {network.name} {form.precision}")
    arithmetic = _arithmetic(graph, network, form, calibration, per_tensor=per_tensor)
    state = lower_network(arithmetic, network, form)
    return Lowered(graph.serialize(), form.model_copy(update={"state": state}))


def _arithmetic(
    graph: Graph, network: spec.NetworkSpec, form: Form, calibration: Sequence[Float32], *, per_tensor: bool
) -> Arithmetic:
    match form.precision:
        case "float32":
            return Arithmetic(graph)
        case "int8_dynamic":
            return DynamicArithmetic(graph, per_tensor=per_tensor)
        case "int8_static":
            if form.whole_window:
                raise BadInput(
                    f"{network.name} over whole windows cannot be static int8, whose state must be carried; "
                    "export it with a lookahead, or with dynamic int8"
                )
            return StaticArithmetic(graph, calibrated_ranges(network, form, calibration))
