"""What is in a .pte file, read from its bytes: operators, delegates, memory, stored weights."""

from __future__ import annotations

from typing import NamedTuple

from edge.extras import require
from edge.runtimes.quiet import quiet_loading


class Contents(NamedTuple):
    """A program as it lies in the file."""

    operators: tuple[
        str, ...
    ]  # those that ExecuTorch's own kernels must have, such as aten::index_select.out
    delegates: tuple[str, ...]  # the backend of each delegate, in order
    instructions: int  # of the main chain; a loop's body counts once
    arena_bytes: int  # planned memory for inputs, outputs and what lies between
    weights: int  # constants in the delegates' store
    weight_bytes: int
    quantized_weights: int  # those with a scale for each output row


def contents_of(program: bytes) -> Contents:
    """Read a .pte of one method, `forward`."""
    with quiet_loading():
        serialize = require("executorch.exir._serialize._program", "executorch")
    file = serialize.deserialize_pte_binary(program)
    plan = file.program.execution_plan[0]
    store = file.named_data
    entries = {} if store is None else store.pte_data
    scales = [name for name in entries if name.startswith("scale_")]  # XNNPACK's name for them
    return Contents(
        operators=tuple(
            sorted(f"{op.name}.{op.overload}" if op.overload else op.name for op in plan.operators)
        ),
        delegates=tuple(delegate.id for delegate in plan.delegates),
        instructions=len(plan.chains[0].instructions),
        arena_bytes=sum(plan.non_const_buffer_sizes),
        weights=len(entries) - len(scales),
        weight_bytes=sum(len(store.buffers[entry.buffer_index]) for entry in entries.values()),
        quantized_weights=len(scales),
    )
