"""What a microcontroller needs of a model: generated C, the memory it takes, and estimates for an NPU."""

from export.mcu.emit import emit
from export.mcu.targets import Target, TooLarge, check_fits, read_targets
from export.mcu.vela import Estimate, vela_estimate

__all__ = ["Estimate", "Target", "TooLarge", "check_fits", "emit", "read_targets", "vela_estimate"]
