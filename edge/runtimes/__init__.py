"""Runtimes: whatever can run an exported network, behind one torch-free Protocol."""

from edge.runtimes.opening import load_runtime, open_preferred, open_runtime
from edge.runtimes.protocol import ModelInput, Runtime, Samples, State, frames_of

__all__ = [
    "ModelInput",
    "Runtime",
    "Samples",
    "State",
    "frames_of",
    "load_runtime",
    "open_preferred",
    "open_runtime",
]
