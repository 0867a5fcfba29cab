"""NetworkSpec -> ExecuTorch program: one static chunk, its matrix products and recurrences on XNNPACK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from edge.errors import BadInput
from edge.extras import require
from edge.features import BINS
from edge.manifest import Form
from edge.samples import ELECTRODES, WRISTS, Float32
from export.executorch.loops import delegate_of, insert
from export.executorch.modules import Chunk
from export.executorch.quantize import with_int8_weights
from export.executorch.quiet import quiet_libraries
from export.shapes import Lowered, check_form
from personalize import spec

_NO_STATIC_INT8: Final = (
    "a .pte of int8_static is not made: XNNPACK departs silently from a static graph of the whole network, "
    "and static linear maps alone gain nothing; choose int8_dynamic, which is as small and as fast"
)


def lower(
    network: spec.NetworkSpec,
    form: Form,
    calibration: Sequence[Float32] = (),  # noqa: ARG001  (what every lowering takes)
) -> Lowered:
    """The .pte program forward(frames or samples and valid, *state) -> (log_probs, *new state).

    `int8_dynamic` stores the weights of the linear maps, the convolutions of the streaming networks and the
    recurrences in int8, and rounds what they multiply row by row as it comes: it needs no `calibration`, and
    chunks of any length say the same. Raises BadInput where the form does not fit the network, and for
    `int8_static`.
    """
    check_form(network, form)
    if form.precision == "int8_static":
        raise BadInput(_NO_STATIC_INT8)
    int8 = form.precision == "int8_dynamic"
    with torch.no_grad(), quiet_libraries():
        chunk = Chunk(network).eval()
        delegates = [
            delegate_of(_edge(loop.body, loop.body.example(), int8=int8).exported_program())
            for loop in chunk.loops()
        ]
        for number, loop in enumerate(chunk.loops()):
            loop.number = number
        program = _edge(chunk, example_inputs(form), int8=int8).exported_program()
        insert(program.graph_module, delegates)
        # A new manager, because it collects the weights of the delegates when it is made.
        manager = require("executorch.exir", "executorch").EdgeProgramManager(
            program, compile_config=_unverified()
        )
        return Lowered(bytes(manager.to_executorch().buffer), form)


def example_inputs(form: Form) -> tuple[Tensor, ...]:
    """Zeros of the shapes and types that one call takes."""
    state = (torch.from_numpy(array) for array in form.initial_state())
    if form.takes == "frames":
        return (torch.zeros(form.input_frames, WRISTS, ELECTRODES, BINS), *state)
    dtype = torch.int16 if form.takes == "samples_int16" else torch.float32
    samples = torch.zeros(form.input_samples, WRISTS, ELECTRODES, dtype=dtype)
    return (samples, torch.ones(form.input_frames, WRISTS), *state)


def _edge(module: nn.Module, example: tuple[Tensor, ...], *, int8: bool) -> Any:  # noqa: ANN401  (untyped)
    """The module as an edge program, what XNNPACK takes of it delegated."""
    exported = torch.export.export(module, example)
    if int8:
        exported = torch.export.export(with_int8_weights(exported, example), example)
    partitioners = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    return require("executorch.exir", "executorch").to_edge_transform_and_lower(
        exported, partitioner=[partitioners.XnnpackPartitioner()], compile_config=_unverified()
    )


def _unverified() -> Any:  # noqa: ANN401  (untyped)
    """The verifier knows no higher-order operators, and scan is one."""
    return require("executorch.exir", "executorch").EdgeCompileConfig(_check_ir_validity=False)
