"""ONNX: a second, independent reading of a network, for parity and as a yardstick of speed."""

from export.onnx.lower import lower
from export.onnx.runtime import OnnxRuntime

__all__ = ["OnnxRuntime", "lower"]
