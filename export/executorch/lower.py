"""NetworkSpec -> ExecuTorch program, float32, one static chunk of frames."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from edge.errors import BadInput
from edge.extras import require
from edge.features import BINS
from edge.manifest import Form
from edge.samples import ELECTRODES, WRISTS, Float32
from export.executorch.modules import Chunk
from export.shapes import Lowered, check_form
from personalize import spec


def lower(network: spec.NetworkSpec, form: Form, calibration: Sequence[Float32] = ()) -> Lowered:
    """The .pte program forward(frames, *state) -> (log_probs, *new state).

    Raises BadInput where the form does not fit the network.
    """
    check_form(network, form)
    if (form.precision, form.takes) != ("float32", "frames"):
        raise BadInput(f"a .pte of {form.precision} that takes {form.takes} cannot be made by this version")
    chunk = Chunk(network).eval()
    example = (
        torch.zeros(form.input_frames, WRISTS, ELECTRODES, BINS),
        *map(torch.zeros, chunk.state_shapes()),
    )
    with torch.no_grad(), _quiet_libraries():
        exir = require("executorch.exir", "executorch")
        xnnpack = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
        lowered = exir.to_edge_transform_and_lower(
            torch.export.export(chunk, example),
            partitioner=[xnnpack.XnnpackPartitioner()],
            # The verifier knows no higher-order operators, and scan is one.
            compile_config=exir.EdgeCompileConfig(_check_ir_validity=False),
        )
        return Lowered(bytes(lowered.to_executorch().buffer), form)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Hide what the exporter's libraries say of their own insides; its errors are exceptions and pass."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
