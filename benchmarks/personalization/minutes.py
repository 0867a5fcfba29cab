"""What minutes of a person's typing are worth, by way of fitting: from the base and from scratch.

    export OMP_NUM_THREADS=1
    python benchmarks/personalization/minutes.py OUT
    python benchmarks/personalization/minutes.py OUT --arms full scratch --minutes 8 32 --wearers 611
    python benchmarks/personalization/minutes.py OUT --report

Simulated wearers, none of whom the base has met. All cells of a wearer are chosen on the same donning and
tested on the same other one; what trains is the first 1, 2, 4 minutes of one donning, or 2, 4, 8 donnings of
4 minutes. Its first donning is read too, 3 minutes of it that trained nothing: how much of the rest is lost
to a new donning. Below the table is the exponent of the default's learning curve, which personalize.minutes
ships, and how far off it would have been for each wearer by the others' curves. A cell leaves a file in OUT,
named by all that decides it, the base among it, so the command goes on where it was stopped. No figure is a
person's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from prompts_only import JUDGED_S, SESSION_S, TEST, VALIDATION, mean_error, take

from edge.features import FRAME_RATE_HZ
from edge.files import write_atomically
from edge.normalize import prior_from
from personalize import base, recipe
from personalize.features import FramedSession
from personalize.minutes import exponent
from personalize.recipe import Recipe, Way
from personalize.train import initial_network, train, validate
from personalize.ways import fitting
from simulate.wearer import Wearer

CHOOSING: Final = (601, 602)  # wearers that the recipe's picks were chosen on
WEARERS: Final = (611, 612, 613)  # those that are reported
MINUTES: Final = (1, 2, 4, 8, 16, 32)


# Passes over the recordings: 32 of 1 minute, 16 of 8, 11 of 32. Of 240 steps on 1 minute wearer 601 was read
# best after 30, and 60 steps read better than any of them: 53.5 against 57.1 % on validation.
STEPS: Final = {1: 60, 2: 90, 4: 160, 8: 240, 16: 400, 32: 640}


class Arm(NamedTuple):
    """A way of fitting."""

    about: str
    way: Way = "full"
    passes: float = 1.0  # times STEPS
    learning_rate: float | None = None  # None: the recipe's
    average: float = 0.0  # decay of the weights' moving average
    scratch: bool = False  # by the recipe for that


DEFAULT: Final = Arm("the default")  # what the recipe itself picks for the minutes
ARMS: Final[dict[str, Arm]] = {
    "default": DEFAULT,
    "full": Arm("all weights"),
    "half": Arm("all weights, half the steps", passes=0.5),
    "twice": Arm("all weights, twice the steps", passes=2.0),
    "average": Arm("all weights, their moving average", average=0.95),
    "last": Arm("last layers", "last"),
    "adapters": Arm("adapters", "adapters", learning_rate=5e-3),  # few weights, each of which goes further
    "norm": Arm("norms alone", "norm", learning_rate=1e-2),
    "scratch": Arm("from scratch", scratch=True),
}


class Cell(NamedTuple):
    """An arm, minutes to train on, a wearer and a seed."""

    arm: str
    minutes: int
    wearer: int
    seed: int


def settings_of(cell: Cell) -> Recipe:
    """The recipe of a cell, with nothing left to pick."""
    arm = ARMS[cell.arm]
    if arm.scratch:
        return recipe.load("streaming")
    loaded = recipe.load("finetune")
    if arm is DEFAULT:
        return recipe.for_minutes(loaded, cell.minutes)
    changes = {
        "way": arm.way,
        "steps": round(arm.passes * STEPS[cell.minutes]),
        "learning_rate": arm.learning_rate or loaded.learning_rate,
        "average_decay": arm.average,
    }
    return recipe.override(loaded, changes)


def result_path(out: Path, cell: Cell, difficulty: str) -> Path:
    """Where the cell's result is; arms that come to the same share it."""
    settings = settings_of(cell)
    known = None if settings.start == "scratch" else base.card(settings.network).sha256
    # A recipe's field that comes to be changes no name.
    decides = [difficulty, settings.model_dump(exclude_defaults=True), known]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"minutes-{cell.minutes}-{cell.wearer}-{cell.seed}-{key}.json"


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
    settings = settings_of(cell)
    scratch = settings.start == "scratch"
    network = initial_network(settings.network, cell.seed) if scratch else base.load(settings.network)
    before = validate(network, [taken.test]).percent
    started_s = time.process_time()
    with fitting(network, settings.way, cell.seed) as fitted:
        run = train(fitted, taken.training, [taken.validation], settings, seed=cell.seed)
    return {
        "difficulty": difficulty,
        "recipe": settings.model_dump(mode="json", exclude_defaults=True),
        "cpu_s": round(time.process_time() - started_s, 1),
        "before": before,
        "validation": run.best.cer.percent,
        "test": validate(network, [taken.test]).percent,
        "again": validate(network, [taken.again]).percent,
        "by_step": {e.step: e.cer.percent for e in run.evaluations},
    }


Results = Mapping[Cell, dict[str, Any]]


def report(results: Results) -> str:
    """The table: a row an arm and minutes, means over wearers and seeds with their standard errors."""
    rows = [
        "| way | minutes | runs | validation CER | test CER | the donning that trained | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    zero = {cell.wearer: one["before"] for cell, one in results.items() if not ARMS[cell.arm].scratch}
    if zero:
        mean = mean_error(list(zero.values()))
        rows.append(f"| the base as it is | 0 | {len(zero)} | | {mean} % | | |")
    for name in ARMS:
        for minutes in MINUTES:
            own = [one for cell, one in results.items() if (cell.arm, cell.minutes) == (name, minutes)]
            if not own:
                continue
            figures = [mean_error([r[kind] for r in own]) for kind in ("validation", "test", "again")]
            cpu_s = statistics.mean(one["cpu_s"] for one in own)
            shown = " | ".join(f"{figure} %" for figure in figures)
            rows.append(f"| {ARMS[name].about} | {minutes} | {len(own)} | {shown} | {cpu_s:.0f} |")
    return "\n".join(rows)


def curve(results: Results) -> str:
    """The exponent of the default's learning curve, and by how much it would have misled."""
    tests: dict[int, dict[int, list[float]]] = {}
    for cell, one in results.items():
        if ARMS[cell.arm] is DEFAULT:
            tests.setdefault(cell.wearer, {}).setdefault(cell.minutes, []).append(one["test"])
    cers = {
        wearer: {float(minutes): statistics.mean(found) for minutes, found in sorted(by_minutes.items())}
        for wearer, by_minutes in tests.items()
        if len(by_minutes) > 1
    }
    exponents = {wearer: exponent(found) for wearer, found in cers.items()}
    if len(exponents) < 2:
        return "The exponent takes the default of two wearers at least, each at two lengths."
    misses = [miss for wearer in cers for miss in _misses(cers[wearer], _others(exponents, wearer))]
    mean, error = statistics.mean(exponents.values()), statistics.stdev(exponents.values())
    return (
        f"Exponent of the default's curve: {mean:.2f} ± {error / math.sqrt(len(exponents)):.2f} over "
        f"{len(exponents)} wearers ({', '.join(f'{one:.2f}' for one in exponents.values())}). Told by the "
        f"others' exponent what the next length brings, a wearer would have been told "
        f"{statistics.mean(map(abs, misses)):.1f} points too much or too little, "
        f"{statistics.mean(misses):+.1f} on average."
    )


def _others(exponents: Mapping[int, float], wearer: int) -> float:
    return statistics.mean(one for other, one in exponents.items() if other != wearer)


def _misses(cers: Mapping[float, float], steepness: float) -> list[float]:
    """Points told less points gained, from each length to the next."""
    return [
        cers[short] * (1 - (long / short) ** -steepness) - (cers[short] - cers[long])
        for short, long in pairwise(sorted(cers))
    ]


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
    found = {
        cell: json.loads(path.read_bytes()) for cell, path in zip(cells, paths, strict=True) if path.is_file()
    }
    print(report(found), curve(found), sep="\n\n")


if __name__ == "__main__":
    main()
