"""The phone target: samples in C++, Kotlin and Swift, made from model.json."""

from export.phone.calls import GoldenCalls, Recording, golden_calls, inputs_of
from export.phone.samples import write_samples

__all__ = ["GoldenCalls", "Recording", "golden_calls", "inputs_of", "write_samples"]
