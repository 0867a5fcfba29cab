"""The files that tests/mcu/firmware/decode.c reads and writes: raw samples in, emissions and text out."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.features import HOP
from edge.samples import Float32
from export.golden import UV_PER_LSB
from export.golden.scenarios import Scenario
from tests.mcu.replaying import Run

_EMISSION: Final = np.dtype(
    [("log_probs", "<f4", CHARSET.num_classes), ("action", "<i4"), ("character", "<i4")]
)
_MEASURED: Final = np.dtype([(name, "<u4") for name in ("emissions", "instructions", "stack")])


class Decided(NamedTuple):
    """What a whole decoder in C makes of raw samples."""

    log_probs: Float32  # (M, K)
    text: str
    instructions: int  # of the network, the longest emission; 0 on a computer
    stack_bytes: int


def decide(run: Run, folder: Path, scenario: Scenario) -> Decided:
    """Feed `scenario`, hop by hop; what is left of a last hop is not heard."""
    parts = [np.float32(UV_PER_LSB).tobytes()]
    for start in range(0, len(scenario.counts) // HOP * HOP, HOP):
        part = slice(start, start + HOP)
        parts += [scenario.counts[part].tobytes(), scenario.valid[part].astype(np.uint8).tobytes()]
    (folder / "input.bin").write_bytes(b"".join(parts))
    run(folder)
    output = (folder / "output.bin").read_bytes()
    cut = len(output) - _MEASURED.itemsize
    rows = np.frombuffer(output[:cut], _EMISSION)
    text = ""
    for _, action, character in rows.tolist():
        text = text[:-1] if action == 2 else text + chr(character) if action == 1 else text
    _, instructions, stack = np.frombuffer(output[cut:], _MEASURED)[0].tolist()
    return Decided(rows["log_probs"], text, instructions, stack)
