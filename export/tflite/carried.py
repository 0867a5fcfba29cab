"""The state of a stream, which layers take from the graph's inputs and leave at its outputs."""

from __future__ import annotations

from collections.abc import Sequence

from edge.manifest import TensorSpec
from edge.runtimes.signature import next_name
from export.tflite.arithmetic import Arithmetic, Bits
from export.tflite.graph import Graph, Kind, Tensor


class Carried:
    """Tensors are taken, and left, in the order of the layers."""

    def __init__(self, arithmetic: Arithmetic, tensors: Sequence[TensorSpec]) -> None:
        self._arithmetic = arithmetic
        self._coming = iter(tensors)
        self._taken: list[tuple[TensorSpec, Kind]] = []
        self._left: list[Tensor] = []

    @property
    def graph(self) -> Graph:
        """Where the tensors are."""
        return self._arithmetic.graph

    def take(self, bits: Bits | None, limit: float | None = None) -> tuple[str, Tensor]:
        """The next tensor, and its name, which is its label; float32 where `bits` is None."""
        tensor = next(self._coming)
        kind = Kind(tensor.shape)
        if bits is not None:
            kind = self._arithmetic.kind(tensor.shape, tensor.name, bits, limit)
        self._taken.append((tensor, kind))
        return tensor.name, self.graph.input(tensor.name, kind)

    def leave(self, value: Tensor) -> None:
        """What the next tensor, in the order in which they were taken, holds after the chunk."""
        self._left.append(value)

    def finish(self) -> tuple[TensorSpec, ...]:
        """Name what was left as outputs; the state as it is stored."""
        for (tensor, kind), value in zip(self._taken, self._left, strict=True):
            if value.kind != kind:
                raise TypeError(f"{tensor.name} comes as {kind} and leaves as {value.kind}")
            self.graph.output(next_name(tensor.name), value)
        return tuple(_stored(tensor, kind) for tensor, kind in self._taken)


def _stored(tensor: TensorSpec, kind: Kind) -> TensorSpec:
    if kind.quantization is None:
        return tensor
    update = {
        "dtype": kind.dtype,
        "scale": kind.quantization.scale,
        "zero_point": kind.quantization.zero_point,
    }
    return tensor.model_copy(update=update)
