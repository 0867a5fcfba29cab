"""The static shapes of an exported chunk, and the checks that every lowering makes first."""

from __future__ import annotations

from collections.abc import Sequence

from edge.errors import BadInput
from edge.manifest import TensorSpec
from personalize import spec


def state_shapes(network: spec.NetworkSpec) -> tuple[tuple[int, ...], ...]:
    """The shapes of the tensors that a stream carries, in the order of the layers."""
    shapes: list[tuple[int, ...]] = []
    for layer in network.layers:
        match layer:
            case spec.CausalConv(weight):
                shapes.append((weight.shape[2] - 1, weight.shape[1]))  # the last k - 1 inputs
            case spec.SkipLstm(cell):
                hidden = cell.recurrent.shape[1]
                shapes += [(hidden,), (hidden,)]  # h and c
            case _:
                pass
    return tuple(shapes)


def check_chunk(network: spec.NetworkSpec, chunk_frames: int, state: Sequence[TensorSpec]) -> None:
    """Raise BadInput unless the chunk is whole strides and `state` is what the network carries."""
    if chunk_frames < network.stride or chunk_frames % network.stride:
        raise BadInput(
            f"{network.name} cannot take chunks of {chunk_frames} frames; "
            f"choose a positive multiple of its stride, {network.stride}"
        )
    expected, found = state_shapes(network), tuple(tensor.shape for tensor in state)
    if found != expected:
        raise BadInput(
            f"model.json lists a state of shapes {found}, and {network.name} carries {expected}; "
            "personalize again with this version"
        )
