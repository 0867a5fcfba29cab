"""What the base is worth to those with one hand, one band, or muscles missing, before and after 8 minutes.

    export OMP_NUM_THREADS=1
    python benchmarks/personalization/hands.py OUT
    python benchmarks/personalization/hands.py OUT --arms both left --wearers 81
    python benchmarks/personalization/hands.py OUT --report

Simulated wearers, none of whom the base has met. With one hand all keys are typed by it, and slower; with one
band and two hands, half of the keys' muscles are not measured. A missing muscle makes no movement and no
signal; its finger's other muscles, and those of the wrist, move as before. A cell leaves a file in OUT, named
by all that decides it, so the command goes on where it was stopped. No figure is a person's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from prompts_only import JUDGED_S, SESSION_S, TEST, VALIDATION, WEARERS, Setup, mean_error, settings_of, take

from edge.files import write_atomically
from edge.normalize import prior_from
from edge.samples import SIDES, Side
from personalize import base
from personalize.features import FramedSession
from personalize.train import train, validate
from simulate.wearer import Wearer

SESSIONS: Final = 2  # to train on, a donning of 4 minutes each


class Arm(NamedTuple):
    """Whose hands, and which of them are measured."""

    about: str
    sides: tuple[Side, ...] = SIDES  # hands there are
    bands: tuple[Side, ...] = SIDES
    missing: tuple[str, ...] = ()


ARMS: Final[dict[str, Arm]] = {
    "both": Arm("both hands"),
    "left": Arm("the left hand only", ("left",), ("left",)),
    "right": Arm("the right hand only", ("right",), ("right",)),
    "left_band": Arm("both hands, the left band only", bands=("left",)),
    "right_band": Arm("both hands, the right band only", bands=("right",)),
    "flexors": Arm("no flexors of ring and little finger", missing=("FDS4", "FDS5", "FDP345")),
    "extensors": Arm("no finger extensors", missing=("EDC2", "EDC3", "EDC4", "EDC5", "EIP", "EDM")),
}


class Cell(NamedTuple):
    """A kind of hands, a wearer and a seed."""

    arm: str
    wearer: int
    seed: int


def result_path(out: Path, cell: Cell, setup: Setup) -> Path:
    """Where the cell's result is: its name says all that decides it, the base among it."""
    settings = settings_of(setup)
    decides = [ARMS[cell.arm], setup.model_dump(), settings.model_dump(), base.card(settings.network).sha256]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"hands-{cell.arm}-{cell.wearer}-{cell.seed}-{key}.json"


def recordings(out: Path, cell: Cell, setup: Setup) -> list[FramedSession]:
    """Log power of the training recordings, then of validation and test."""
    arm = ARMS[cell.arm]
    wearer = Wearer(cell.wearer, setup.difficulty, arm.sides, arm.missing)
    wanted = [(number, SESSION_S) for number in range(SESSIONS)] + [(VALIDATION, JUDGED_S), (TEST, JUDGED_S)]
    taken = [take(out, wearer, number, seconds).keys for number, seconds in wanted]
    worn = [side in arm.bands for side in SIDES]
    return [replace(session, valid=session.valid & worn) for session in taken]


def compute(out: Path, cells: Sequence[Cell], setup: Setup) -> None:
    """All `cells`, in order; those that are there are left alone."""
    torch.set_num_threads(1)
    for cell in cells:
        path = result_path(out, cell, setup)
        if not path.is_file():
            write_atomically(path, json.dumps(_result(out, cell, setup)).encode())


def _result(out: Path, cell: Cell, setup: Setup) -> dict[str, object]:
    framed = recordings(out, cell, setup)
    prior = prior_from(session.frames for session in framed[:SESSIONS])
    *training, validation, test = (session.prepared(prior) for session in framed)
    settings = settings_of(setup)
    network = base.load(settings.network)
    before = validate(network, [test]).percent
    started_s = time.process_time()
    run = train(network, training, [validation], settings, seed=cell.seed)
    return {
        **cell._asdict(),
        "setup": setup.model_dump(),
        "zero_shot": before,
        "validation": run.best.cer.percent,
        "test": validate(network, [test]).percent,
        "cpu_s": round(time.process_time() - started_s, 1),
    }


def report(results: Sequence[dict[str, Any]]) -> str:
    """The table: a row a kind of hands, means over wearers and seeds with their standard errors."""
    rows = ["| hands | runs | base as it is | after 8 minutes | CPU s |", "|---|---|---|---|---|"]
    for name, arm in ARMS.items():
        own = [one for one in results if one["arm"] == name]
        if own:
            before, after = (mean_error([one[kind] for one in own]) for kind in ("zero_shot", "test"))
            cpu_s = statistics.mean(one["cpu_s"] for one in own)
            rows.append(f"| {arm.about} | {len(own)} | {before} % | {after} % | {cpu_s:.0f} |")
    return "\n".join(rows)


def main() -> None:
    """Compute what is missing, then print the table of all that was asked for and is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--wearers", nargs="+", type=int, default=list(WEARERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--difficulty", default=Setup().difficulty)
    parser.add_argument("--steps", type=int, default=None, help="instead of the recipe's")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    setup = Setup(difficulty=asked.difficulty, steps=asked.steps)
    cells = [
        Cell(arm, wearer, seed) for seed in asked.seeds for wearer in asked.wearers for arm in asked.arms
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        compute(asked.out, cells, setup)
    paths = [result_path(asked.out, cell, setup) for cell in cells]
    print(report([json.loads(path.read_bytes()) for path in paths if path.is_file()]))


if __name__ == "__main__":
    main()
