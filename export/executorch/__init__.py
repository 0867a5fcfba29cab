"""Lowering to ExecuTorch: a NetworkSpec becomes a .pte whose matrix products run on XNNPACK."""

from export.executorch.lower import lower

__all__ = ["lower"]
