"""Arm's estimate of a model on an Ethos-U55: vela compiles it and predicts; nothing is executed."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Accelerator = Literal["ethos-u55-128", "ethos-u55-256"]
VARIABLE: Final = "QWRIST_VELA"  # where vela is, if it is not on the path: it cannot share our environment
ABSENT: Final = (
    "vela is not installed, so nothing is said of an Ethos-U NPU; pip install ethos-u-vela==5.2.0 into an "
    f"environment of its own, and name its program in {VARIABLE}"
)
_LIMIT_S: Final = 300  # it takes seconds; a search that does not end is no estimate
_COUNTED: Final = re.compile(r"(CPU|NPU) operators = (\d+)")


class Estimate(BaseModel):
    """What vela predicts of one call. No hardware and no simulator ran it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: Literal["estimate by vela, not executed"] = "estimate by vela, not executed"
    vela: str  # its version
    accelerator: Accelerator
    system: str  # vela's name of the assumed clock and memories
    ms_per_call: float  # of the NPU's operators alone
    total_cycles: float  # waiting for flash included
    sram_kib: float
    flash_kib: float
    npu_operators: int
    cpu_operators: int  # whose time on the Cortex-M is not in the estimate

    def __str__(self) -> str:
        return (
            f"{self.accelerator} ({self.system}): {self.ms_per_call:.2f} ms a call for "
            f"{self.npu_operators} of {self.npu_operators + self.cpu_operators} operators, "
            f"{self.sram_kib:.0f} KiB of SRAM, {self.flash_kib:.0f} KiB of flash ({self.label}; "
            f"the other {self.cpu_operators} operators run on the Cortex-M and are not counted)"
        )


def find_vela() -> str | None:
    """The program, by the variable or on the path; None where it is not installed."""
    return shutil.which(os.environ.get(VARIABLE) or "vela")


def vela_estimate(content: bytes, accelerator: Accelerator = "ethos-u55-128") -> Estimate | None:
    """Vela's estimate of a static int8 .tflite file; None where it is absent or fails."""
    vela = find_vela()
    if vela is None:
        return None
    with tempfile.TemporaryDirectory(prefix="qwrist-vela-") as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(content)
        said = _run([vela, "model.tflite", "--accelerator-config", accelerator, "--output-dir", "."], folder)
        tables = sorted(folder.glob("model_summary_*.csv"))
        version = _run([vela, "--version"], folder)
        if said is None or version is None or not tables:
            return None
        return _read(tables[0], said, version.strip(), accelerator)


def _run(command: list[str], folder: Path) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  (a program that the user named)
            command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _read(table: Path, said: str, version: str, accelerator: Accelerator) -> Estimate | None:
    with table.open(newline="") as file:
        row = next(csv.DictReader(file), None)
    counted = {kind: int(count) for kind, count in _COUNTED.findall(said)}
    if row is None:
        return None
    try:
        return Estimate(
            vela=version,
            accelerator=accelerator,
            system=f"{row['system_config']}, {row['memory_mode']}",
            ms_per_call=1000 * float(row["inference_time"]),
            total_cycles=float(row["cycles_total"]),
            sram_kib=float(row["sram_memory_used"]),
            flash_kib=float(row["off_chip_flash_memory_used"]),
            npu_operators=counted["NPU"],
            cpu_operators=counted["CPU"],
        )
    except (KeyError, ValueError):
        return None
