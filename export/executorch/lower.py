"""NetworkSpec -> ExecuTorch program, float32, one static chunk of frames."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from edge.extras import require
from edge.features import BINS
from edge.manifest import TensorSpec
from edge.samples import ELECTRODES, WRISTS
from export.executorch.modules import Chunk
from export.shapes import check_chunk
from personalize import spec


def lower(network: spec.NetworkSpec, chunk_frames: int, state: Sequence[TensorSpec]) -> bytes:
    """The .pte program forward(frames, *state) -> (log_probs, *new state).

    A bidirectional network carries the state of its forward direction, though model.json lists none: zeros
    make each window stand alone. Raises BadInput where the chunk or the state does not fit the network.
    """
    check_chunk(network, chunk_frames, state)
    chunk = Chunk(network).eval()
    example = (torch.zeros(chunk_frames, WRISTS, ELECTRODES, BINS), *map(torch.zeros, chunk.state_shapes()))
    with torch.no_grad(), _quiet_libraries():
        exir = require("executorch.exir", "executorch")
        xnnpack = require("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
        lowered = exir.to_edge_transform_and_lower(
            torch.export.export(chunk, example),
            partitioner=[xnnpack.XnnpackPartitioner()],
            # The verifier knows no higher-order operators, and scan is one.
            compile_config=exir.EdgeCompileConfig(_check_ir_validity=False),
        )
        return bytes(lowered.to_executorch().buffer)


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
