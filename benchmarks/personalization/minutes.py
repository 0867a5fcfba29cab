"""What minutes of a person's typing are worth, by way of fitting: from the base and from scratch.

    export OMP_NUM_THREADS=1
    python benchmarks/personalization/minutes.py OUT
    python benchmarks/personalization/minutes.py OUT --arms full scratch --minutes 8 32 --wearers 611
    python benchmarks/personalization/minutes.py OUT --report

Simulated wearers, none of whom the base has met. All cells of a wearer are chosen on the same donning and
tested on the same other one; what trains is the first 1, 2, 4 minutes of one donning, or 2, 4, 8 donnings of
4 minutes. Its first donning is read too, 3 minutes of it that trained nothing: how much of the rest is lost
to a new donning. The curve through the cells of one way, and what it would have told, is below the table
(personalize.minutes ships its constants). A cell leaves a file in OUT, named by all that decides it, the base
among it, so the command goes on where it was stopped. No figure is a person's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from prompts_only import JUDGED_S, SESSION_S, TEST, VALIDATION, mean_error, take

from edge.features import FRAME_RATE_HZ
from edge.files import write_atomically
from edge.normalize import prior_from
from personalize import base, recipe
from personalize.features import FramedSession
from personalize.recipe import Recipe, Start, Way
from personalize.train import initial_network, train, validate
from personalize.ways import fitting
from simulate.wearer import Wearer

CHOOSING: Final = (601, 602)  # wearers that the recipe's picks were chosen on
WEARERS: Final = (611, 612, 613)  # those that are reported
MINUTES: Final = (1, 2, 4, 8, 16, 32)


class Arm(NamedTuple):
    """A way of fitting; what is None is the recipe's own."""

    about: str
    way: Way = "full"
    start: Start = "base"
    steps: int | None = None
    learning_rate: float | None = None


# The fewer weights move, the further each may go: rates of 1.5e-3, 5e-3 and 1e-2 were tried on wearer 601.
ARMS: Final[dict[str, Arm]] = {
    "full": Arm("all weights"),
    "full_60": Arm("all weights, 60 steps", steps=60),
    "full_480": Arm("all weights, 480 steps", steps=480),
    "last": Arm("last layers", "last"),
    "adapters": Arm("adapters", "adapters", learning_rate=5e-3),
    "norm": Arm("norms alone", "norm", learning_rate=1e-2),
    "scratch": Arm("from scratch", start="scratch"),
}


class Cell(NamedTuple):
    """An arm, minutes to train on, a wearer and a seed."""

    arm: str
    minutes: int
    wearer: int
    seed: int


def settings_of(arm: Arm) -> Recipe:
    """The recipe of a cell: the shipped one of its start, at the arm's numbers."""
    loaded = recipe.load("streaming" if arm.start == "scratch" else "finetune")
    changes = {"steps": arm.steps, "learning_rate": arm.learning_rate}
    wanted = {name: value for name, value in changes.items() if value is not None}
    return recipe.override(loaded, {"way": arm.way, **wanted})


def result_path(out: Path, cell: Cell, difficulty: str) -> Path:
    """Where the cell's result is."""
    settings = settings_of(ARMS[cell.arm])
    known = None if settings.start == "scratch" else base.card(settings.network).sha256
    # A recipe's field that comes to be changes no name.
    decides = [difficulty, settings.model_dump(exclude_defaults=True), known]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"minutes-{cell.arm}-{cell.minutes}-{cell.wearer}-{cell.seed}-{key}.json"


class Taken(NamedTuple):
    """A wearer's recordings for a cell, as a network's input."""

    training: list[FramedSession]
    validation: FramedSession
    test: FramedSession
    again: FramedSession  # the end of the first donning


def recordings(out: Path, cell: Cell, difficulty: str) -> Taken:
    """Normalised from what trains, as a person's are."""
    wearer = Wearer(cell.wearer, difficulty)
    first = take(out, wearer, 0, SESSION_S + JUDGED_S).keys
    cut, whole = round(FRAME_RATE_HZ * min(60 * cell.minutes, SESSION_S)), round(FRAME_RATE_HZ * SESSION_S)
    more = range(1, math.ceil(60 * cell.minutes / SESSION_S))
    training = [first.between(0, cut), *(take(out, wearer, number, SESSION_S).keys for number in more)]
    prior = prior_from(session.frames for session in training)
    judged = (take(out, wearer, number, JUDGED_S).keys.prepared(prior) for number in (VALIDATION, TEST))
    return Taken(
        [session.prepared(prior) for session in training],
        *judged,
        first.prepared(prior).between(whole, len(first.values)),
    )


def compute(out: Path, cells: Sequence[Cell], difficulty: str) -> None:
    """All `cells`, in order; those that are there are left alone."""
    torch.set_num_threads(1)
    for cell in cells:
        path = result_path(out, cell, difficulty)
        if not path.is_file():
            write_atomically(path, json.dumps(_result(out, cell, difficulty)).encode())


def _result(out: Path, cell: Cell, difficulty: str) -> dict[str, object]:
    taken = recordings(out, cell, difficulty)
    arm, settings = ARMS[cell.arm], settings_of(ARMS[cell.arm])
    scratch = arm.start == "scratch"
    network = initial_network(settings.network, cell.seed) if scratch else base.load(settings.network)
    before = validate(network, [taken.test]).percent
    started_s = time.process_time()
    with fitting(network, arm.way, cell.seed) as fitted:
        run = train(fitted, taken.training, [taken.validation], settings, seed=cell.seed)
    return {
        **cell._asdict(),
        "difficulty": difficulty,
        "cpu_s": round(time.process_time() - started_s, 1),
        "before": before,
        "validation": run.best.cer.percent,
        "test": validate(network, [taken.test]).percent,
        "again": validate(network, [taken.again]).percent,
        "by_step": {e.step: e.cer.percent for e in run.evaluations},
    }


def report(results: Sequence[dict[str, Any]]) -> str:
    """The table: a row an arm and minutes, means over wearers and seeds with their standard errors."""
    rows = [
        "| way | minutes | runs | validation CER | test CER | the donning that trained | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    if results:
        zero = {one["wearer"]: one["before"] for one in results if ARMS[one["arm"]].start == "base"}
        if zero:
            rows.append(
                f"| the base as it is | 0 | {len(zero)} | | {mean_error(list(zero.values()))} % | | |"
            )
    for name in ARMS:
        for minutes in MINUTES:
            own = [one for one in results if (one["arm"], one["minutes"]) == (name, minutes)]
            if not own:
                continue
            figures = [mean_error([r[kind] for r in own]) for kind in ("validation", "test", "again")]
            cpu_s = statistics.mean(one["cpu_s"] for one in own)
            shown = " | ".join(f"{figure} %" for figure in figures)
            rows.append(f"| {ARMS[name].about} | {minutes} | {len(own)} | {shown} | {cpu_s:.0f} |")
    return "\n".join(rows)


def main() -> None:
    """Compute what is missing, then print the table of all that was asked for and is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--minutes", nargs="+", type=int, choices=MINUTES, default=list(MINUTES))
    parser.add_argument("--wearers", nargs="+", type=int, default=list(WEARERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--difficulty", default="mid")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    cells = [
        Cell(arm, minutes, wearer, seed)
        for seed in asked.seeds
        for wearer in asked.wearers
        for arm in asked.arms
        for minutes in asked.minutes
        if arm != "scratch" or minutes in (8, 32)
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        compute(asked.out, cells, asked.difficulty)
    paths = [result_path(asked.out, cell, asked.difficulty) for cell in cells]
    print(report([json.loads(path.read_bytes()) for path in paths if path.is_file()]))


if __name__ == "__main__":
    main()
