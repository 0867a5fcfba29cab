"""What every artifact calls its tensors: docs/formats/model.md."""

from __future__ import annotations

from typing import Final

FRAMES: Final = "frames"
SAMPLES: Final = "samples"
VALID: Final = "valid"  # of the frames that samples make
LOG_PROBS: Final = "log_probs"


def next_name(state: str) -> str:
    """The output that holds the new value of the state tensor `state`."""
    return f"next_{state}"
