"""A whole network in a graph: its inputs, its layers, its outputs."""

from __future__ import annotations

from edge.features import BINS
from edge.manifest import Form, TensorSpec
from edge.runtimes.signature import FRAMES, LOG_PROBS, SAMPLES, VALID
from edge.samples import ELECTRODES, WRISTS
from export.tflite.arithmetic import Arithmetic
from export.tflite.carried import Carried
from export.tflite.front_end import lower_front_end
from export.tflite.graph import Dtype, Kind, Tensor
from export.tflite.layers import lower_layer
from personalize import spec


def lower_network(arithmetic: Arithmetic, network: spec.NetworkSpec, form: Form) -> tuple[TensorSpec, ...]:
    """Append `network` in `form`; its state as the arithmetic stores it."""
    carried = Carried(arithmetic, form.state)
    x, layers = _input(arithmetic, network, form, carried)
    for number, layer in enumerate(layers, 1):
        x = lower_layer(arithmetic, layer, x, carried, f"layer_{number}")
    arithmetic.graph.output(LOG_PROBS, x)
    return carried.finish()


def without_front_end(network: spec.NetworkSpec) -> tuple[spec.Layer, ...]:
    """The layers that take frames."""
    first, *rest = network.layers
    return tuple(rest) if isinstance(first, spec.FrontEnd) else network.layers


def _input(
    arithmetic: Arithmetic, network: spec.NetworkSpec, form: Form, carried: Carried
) -> tuple[Tensor, tuple[spec.Layer, ...]]:
    """The frames, given or made from samples, and the layers that take them."""
    graph, first = arithmetic.graph, network.layers[0]
    if not isinstance(first, spec.FrontEnd):
        return graph.input(FRAMES, Kind((form.input_frames, WRISTS, ELECTRODES, BINS))), network.layers
    dtype: Dtype = "float32" if form.uv_per_lsb is None else "int16"
    samples = graph.input(SAMPLES, Kind((form.input_samples, WRISTS, ELECTRODES), dtype))
    valid = graph.input(VALID, Kind((form.input_frames, WRISTS)))
    return lower_front_end(graph, first, samples, valid, carried), without_front_end(network)
