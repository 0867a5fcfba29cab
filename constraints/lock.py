"""Resolve each environment anew in an empty folder and write what pip chose to constraints/<name>.txt."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FULL = ".[litert,executorch,train,bundle,micro,parity,ble,sim,lsl,ray,dev]"
ENVIRONMENTS = {
    "full": ["torch==2.13.0", FULL],
    "light": [".[litert]"],
    "arm": ["torch==2.13.0", ".[executorch,train,arm]"],
    "tflite-runtime": [".", "tflite-runtime==2.14.0", "numpy==1.26.4"],
}
HEADER = "# Written by constraints/lock.py; see docs/decisions/0002-environments.md\n"


def lock(name: str, requirements: list[str]) -> None:
    """Install `requirements` into a fresh environment and freeze it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        for requirement in requirements:
            subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True, cwd=HERE.parent)
        frozen = subprocess.run(
            [python, "-m", "pip", "freeze", "--exclude", "qwrist"], check=True, capture_output=True, text=True
        ).stdout
    lines = [line.split("+")[0] for line in frozen.splitlines()]  # "+cpu" is the index's business
    (HERE / f"{name}.txt").write_text(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    for environment, wanted in ENVIRONMENTS.items():
        if len(sys.argv) == 1 or environment in sys.argv[1:]:
            lock(environment, wanted)
