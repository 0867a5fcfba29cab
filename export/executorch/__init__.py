"""Lowering to ExecuTorch: a NetworkSpec becomes a .pte that runs on XNNPACK."""

from export.executorch.lower import lower

__all__ = ["lower"]
