"""Runtimes: whatever can run an exported network, behind one torch-free Protocol."""

from edge.runtimes.opening import open_runtime
from edge.runtimes.protocol import Runtime, State

__all__ = ["Runtime", "State", "open_runtime"]
