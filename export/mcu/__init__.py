"""What a microcontroller needs of a model: generated C, the memory it takes, and estimates for an NPU."""

from export.mcu.emit import emit, memory_of
from export.mcu.estimates import write_estimates
from export.mcu.targets import Target, TooLarge, check_fits, find_target, read_targets
from export.mcu.vela import Estimate, vela_estimate

__all__ = [
    "Estimate",
    "Target",
    "TooLarge",
    "check_fits",
    "emit",
    "find_target",
    "memory_of",
    "read_targets",
    "vela_estimate",
    "write_estimates",
]
