"""In which numbers a network computes: one lowering of each layer, three arithmetics.

Layers hand each other float32. Inside a layer, what is heavy or carried is stored under a label (`store`),
and an arithmetic decides what storing means: nothing in float32, integers of a calibrated scale in static
int8. Tensors of one label share a scale, so the steps of a recurrence do, and a chunk's length changes none.
Letters: T time, C columns, D and H features, k taps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import numpy as np

from edge.samples import Float32
from export.tflite import ops
from export.tflite.graph import Dtype, Graph, Kind, Quantization, Tensor

Bits = Literal[8, 16]
_DTYPES: Final[dict[Bits, Dtype]] = {8: "int8", 16: "int16"}
_LARGEST_WEIGHT: Final = 127  # TFLite's weights are symmetric: -127 to 127
_LOWEST8, _HIGHEST8, _STEPS8, _STEPS16 = -128, 127, 255, 32768
_HEADROOM16: Final = 2.0  # what carries on may grow past what was seen, and 16 bits have one to spare
# Of FULLY_CONNECTED: with one scale a matrix beside float32 activations, and with one a channel.
# tflite-runtime 2.14 refuses the second, as it must: it would take the first channel's scale for all.
_PER_TENSOR_VERSION: Final = 9
_PER_CHANNEL_VERSION: Final = 12
_SMALLEST_SCALE: Final = 1e-9  # of a channel of zeros, whose scale means nothing but must not be 0


class Range(NamedTuple):
    """What a label's values were seen to be: nearly all of them lie from `low` to `high`."""

    low: float
    high: float
    largest: float  # of them all, without its sign


class Arithmetic:
    """float32."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def kind(self, shape: tuple[int, ...], label: str, bits: Bits, limit: float | None = None) -> Kind:
        """What holds values of `label`; `limit` is a bound on them that is known without calibration."""
        return Kind(shape)

    def store(self, x: Tensor, label: str, bits: Bits = 8, limit: float | None = None) -> Tensor:
        """`x` as the integers of `label`."""
        return x

    def load(self, x: Tensor) -> Tensor:
        """`x` as float32."""
        return x if x.dtype == "float32" else ops.dequantize(self.graph, x)

    def linear(
        self, x: Tensor, weight: Float32, bias: Float32 | None, label: str, *, relu: bool = False
    ) -> Tensor:
        """(T, D) by weight (H, D) and bias (H,) -> (T, H), stored with the bits of `x`."""
        stored = self.graph.constant(weight)
        version = 1 if bias is not None else 6  # 6 made the bias optional
        kind = Kind((x.shape[0], len(weight)))
        offset = None if bias is None else self.graph.constant(bias)
        return ops.fully_connected(self.graph, x, stored, offset, kind, version=version, relu=relu)

    def convolve(self, x: Tensor, weight: Float32, bias: Float32, label: str) -> Tensor:
        """(1, T, C, D) by weight (H, D, k) and ReLU, not padded -> (1, T - k + 1, C, H)."""
        filters = self.graph.constant(_filters(weight))
        offset = self.graph.constant(bias)
        kind = Kind(_convolved(x, weight))
        return ops.convolution(self.graph, x, filters, offset, kind, version=1, relu=True)

    def add(self, a: Tensor, b: Tensor, label: str, limit: float) -> Tensor:
        """The sum, in 16 bits up to `limit`."""
        return ops.add(self.graph, a, b, self.kind(a.shape, label, 16, limit))

    def multiply(self, a: Tensor, b: Tensor, label: str, limit: float) -> Tensor:
        """The product, in 16 bits up to `limit`."""
        return ops.multiply(self.graph, a, b, self.kind(a.shape, label, 16, limit))


class DynamicArithmetic(Arithmetic):
    """int8 weights, float32 activations that the runtime quantises on the way in, anew on each call.

    `per_tensor`: one scale for a whole matrix, for runtimes that know no more.
    """

    def __init__(self, graph: Graph, *, per_tensor: bool = False) -> None:
        super().__init__(graph)
        self._per_tensor = per_tensor

    def linear(
        self, x: Tensor, weight: Float32, bias: Float32 | None, label: str, *, relu: bool = False
    ) -> Tensor:
        """As float32, its weight in int8."""
        stored, _ = quantized_weight(self.graph, weight, per_tensor=self._per_tensor)
        kind = Kind((x.shape[0], len(weight)))
        offset = None if bias is None else self.graph.constant(bias)
        version = _PER_TENSOR_VERSION if self._per_tensor else _PER_CHANNEL_VERSION
        return ops.fully_connected(self.graph, x, stored, offset, kind, version=version, relu=relu)

    def convolve(self, x: Tensor, weight: Float32, bias: Float32, label: str) -> Tensor:
        """As float32, its weight in int8, one scale a channel."""
        filters, _ = quantized_weight(self.graph, _filters(weight))
        offset = self.graph.constant(bias)
        kind = Kind(_convolved(x, weight))
        return ops.convolution(self.graph, x, filters, offset, kind, version=5, relu=True)


class ObservingArithmetic(Arithmetic):
    """float32, remembering which tensor holds the values of which label, where their limit is not known."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.observed: list[tuple[str, Tensor]] = []

    def _seen(self, label: str, x: Tensor, limit: float | None = None) -> Tensor:
        if limit is None:
            self.observed.append((label, x))
        return x

    def store(self, x: Tensor, label: str, bits: Bits = 8, limit: float | None = None) -> Tensor:
        """Itself."""
        return self._seen(label, x, limit)

    def linear(
        self, x: Tensor, weight: Float32, bias: Float32 | None, label: str, *, relu: bool = False
    ) -> Tensor:
        """As float32."""
        return self._seen(label, super().linear(x, weight, bias, label, relu=relu))

    def convolve(self, x: Tensor, weight: Float32, bias: Float32, label: str) -> Tensor:
        """As float32."""
        return self._seen(label, super().convolve(x, weight, bias, label))


class StaticArithmetic(Arithmetic):
    """Integers between float32 islands: int8 or int16 activations, int8 weights of one scale a channel."""

    def __init__(self, graph: Graph, ranges: Mapping[str, Range]) -> None:
        super().__init__(graph)
        self._ranges = ranges

    def kind(self, shape: tuple[int, ...], label: str, bits: Bits, limit: float | None = None) -> Kind:
        """int8 with a zero point, int16 without."""
        if bits == 8:
            return Kind(shape, "int8", _asymmetric(self._ranges[label]))
        if limit is None:
            limit = max(_HEADROOM16 * self._ranges[label].largest, _SMALLEST_SCALE)
        return Kind(shape, "int16", Quantization((limit / _STEPS16,)))

    def store(self, x: Tensor, label: str, bits: Bits = 8, limit: float | None = None) -> Tensor:
        """The integers that stand for `x`, of float32 or of another scale; `x` where it is that already."""
        kind = self.kind(x.shape, label, bits, limit)
        return x if x.kind == kind else ops.quantize(self.graph, x, kind)

    def linear(
        self, x: Tensor, weight: Float32, bias: Float32 | None, label: str, *, relu: bool = False
    ) -> Tensor:
        """All in integers."""
        stored, scales = quantized_weight(self.graph, weight)
        offset = None if bias is None else self._bias(bias, x, scales)
        kind = self.kind((x.shape[0], len(weight)), label, _bits(x))
        version = _PER_CHANNEL_VERSION
        return ops.fully_connected(self.graph, x, stored, offset, kind, version=version, relu=relu)

    def convolve(self, x: Tensor, weight: Float32, bias: Float32, label: str) -> Tensor:
        """All in integers."""
        filters, scales = quantized_weight(self.graph, _filters(weight))
        kind = self.kind(_convolved(x, weight), label, _bits(x))
        offset = self._bias(bias, x, scales)
        return ops.convolution(self.graph, x, filters, offset, kind, version=3, relu=True)

    def _bias(self, bias: Float32, x: Tensor, weight_scales: Float32) -> Tensor:
        """In steps of a product's: int32 beside int8 activations, int64 beside int16 ones."""
        assert x.quantization is not None  # noqa: S101  (callers store first)
        scales = weight_scales.astype(np.float64) * x.quantization.scale
        numbers = np.rint(bias / scales)
        wide = np.int32 if x.dtype == "int8" else np.int64
        return self.graph.constant(numbers.astype(wide), Quantization(tuple(scales.tolist())))


def quantized_weight(graph: Graph, weight: Float32, *, per_tensor: bool = False) -> tuple[Tensor, Float32]:
    """`weight` (H, ...) in symmetric int8, and its scales: one for each of its H channels, or one for all."""
    axes = None if per_tensor else tuple(range(1, weight.ndim))
    largest = np.abs(weight).max(axes, keepdims=True)
    scales = np.maximum(largest / _LARGEST_WEIGHT, np.float32(_SMALLEST_SCALE)).astype(np.float32)
    numbers = np.clip(np.rint(weight / scales), -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int8)
    flat = scales.reshape(-1)
    return graph.constant(numbers, Quantization(tuple(flat.tolist()))), flat


def _asymmetric(found: Range) -> Quantization:
    """256 steps over the range, 0 among them exactly."""
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    scale = float(np.float32(max((high - low) / _STEPS8, _SMALLEST_SCALE)))
    return Quantization((scale,), max(_LOWEST8, min(_HIGHEST8, round(_LOWEST8 - low / scale))))


def _bits(x: Tensor) -> Bits:
    return 8 if x.dtype == "int8" else 16


def _filters(weight: Float32) -> Float32:
    """A weight of torch's Conv1d weight (H, D, k) as CONV_2D takes it: (H, k, 1, D)."""
    return np.ascontiguousarray(weight.transpose(0, 2, 1)[:, :, None, :])


def _convolved(x: Tensor, weight: Float32) -> tuple[int, ...]:
    batch, time, columns, _ = x.shape
    return batch, time - weight.shape[2] + 1, columns, len(weight)
