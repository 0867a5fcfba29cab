"""Golden vectors: raw samples and, stage by stage, what the desk makes of them."""

from export.golden.desk import (
    Cut,
    Golden,
    Reading,
    Segment,
    Stages,
    golden_of,
    listen,
    of_frames,
    rehearsal,
    say,
)
from export.golden.files import FOLDER, Stored, read_goldens, write_goldens
from export.golden.scenarios import TYPING, UV_PER_LSB, Scenario, scenarios

__all__ = [
    "FOLDER",
    "TYPING",
    "UV_PER_LSB",
    "Cut",
    "Golden",
    "Reading",
    "Scenario",
    "Segment",
    "Stages",
    "Stored",
    "golden_of",
    "listen",
    "of_frames",
    "read_goldens",
    "rehearsal",
    "say",
    "scenarios",
    "write_goldens",
]
