"""Our TFLite writer: a NetworkSpec becomes a FlatBuffer. Neither torch nor TensorFlow is needed."""

from export.tflite.lower import lower

__all__ = ["lower"]
