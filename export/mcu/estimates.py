"""What Arm's tools predict of a model, where they are installed: estimates, nothing of it was executed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final, get_args

from export.mcu.vela import ABSENT, Accelerator, vela_estimate

ARM_PYTHON: Final = "QWRIST_ARM_PYTHON"  # the Python of constraints/arm.txt: Arm's tools cannot share ours
_LIMIT_S: Final = 600  # lowering takes half a minute
_NO_CORTEX_M: Final = (
    "no program for ExecuTorch's Cortex-M backend was made: name the Python of the environment of "
    f"constraints/arm.txt in {ARM_PYTHON} (make setup-arm)"
)


def write_estimates(folder: Path, model: Path, content: bytes) -> list[str]:
    """Write what can be predicted of a static int8 .tflite file, and of the model in folder `model`.

    vela.json: Ethos-U55 in two sizes. cortex_m.pte and .json: ExecuTorch's Cortex-M backend. A tool
    that is absent leaves a sentence in README.md instead; all sentences are given back.
    """
    folder.mkdir()
    said = ["# Estimates", "Made by Arm's tools on a desk. Nothing in this folder was executed.", ""]
    found = [vela_estimate(content, accelerator) for accelerator in get_args(Accelerator)]
    estimates = [one for one in found if one is not None]
    if estimates:
        documents = [one.model_dump(mode="json") for one in estimates]
        (folder / "vela.json").write_text(json.dumps(documents, indent=1) + "\n")
    said += [f"- {one}" for one in estimates] or [f"- {ABSENT}"]
    said.append(f"- {_cortex_m(folder, model)}")
    (folder / "README.md").write_text("\n".join(said) + "\n", encoding="utf-8")
    return said[3:]


def _cortex_m(folder: Path, model: Path) -> str:
    python = os.environ.get(ARM_PYTHON)
    if not python:
        return _NO_CORTEX_M
    command = [python, "-m", "export.executorch.cortex_m", str(model), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no program for ExecuTorch's Cortex-M backend was made: {error}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"no program for ExecuTorch's Cortex-M backend was made: {last}"
    return done.stdout.strip().splitlines()[-1].replace(f"{folder}{os.sep}", "")
