"""Which of several bases serves new wearers better: read as it is, and fine-tuned on minutes of typing.

    export OMP_NUM_THREADS=1
    python benchmarks/base/compare.py OUT OLD_FOLDER NEW_FOLDER  # 2 CPU-minutes a wearer and base
    python benchmarks/base/compare.py OUT OLD_FOLDER NEW_FOLDER --report

A folder is what benchmarks/base/make_base.py leaves: personalize/data of a checkout. Every base is given the
same recordings of simulated wearers that none has met: two donnings to fine-tune on, one to choose the epoch,
one more as the test. A result leaves a file in OUT, so the command goes on where it was stopped; gains are
paired by wearer.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict

from edge.files import write_atomically
from edge.normalize import prior_from
from personalize import base, recipe
from personalize.base_users import forbid
from personalize.features import FramedSession
from personalize.train import train, validate
from simulate.recording import to_session
from simulate.wearer import Wearer

# Met by no base, and no choice was made on them.
WEARERS: Final = (201, 202, 203, 204)
TRAINING_DONNINGS: Final = 2
JUDGED_S: Final = 240.0  # of the donning that chooses and of the one that tests
RECIPES: Final = {"streaming": "finetune", "micro": "micro"}


class Result(BaseModel):
    """What one base did for one wearer; CERs in percent of the test donning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str  # of the base's weights
    wearer: int
    difficulty: str
    minutes: float
    zero_shot: float
    tuned: float
    validation: float
    cpu_s: float


class Asked(NamedTuple):
    """What is compared."""

    out: Path
    network: str
    difficulty: str
    minutes: float

    def path(self, folder: Path, wearer: int) -> Path:
        """Where the result of a base and a wearer is."""
        sha = base.card(self.network, folder).sha256[:12]
        return self.out / f"{self.network}-{sha}-{wearer}-{self.difficulty}-{self.minutes:g}min.json"


def donnings(wearer: int, asked: Asked) -> list[FramedSession]:
    """Those to train on, then one that chooses and one that tests; from the statistics of the first alone."""
    forbid(wearer)
    seconds = [60 * asked.minutes / TRAINING_DONNINGS] * TRAINING_DONNINGS + [JUDGED_S, JUDGED_S]
    simulated = Wearer(wearer, asked.difficulty)
    framed = [
        FramedSession.of(to_session(simulated.perform(number, duration_s=part_s)))
        for number, part_s in enumerate(seconds)
    ]
    prior = prior_from(session.frames for session in framed[:TRAINING_DONNINGS])
    return [session.prepared(prior) for session in framed]


def result(folder: Path, wearer: int, sessions: Sequence[FramedSession], asked: Asked) -> Result:
    """Read, fine-tune, read again."""
    *training, validation, test = sessions
    network = base.load(asked.network, folder)
    zero_shot = validate(network, [test]).percent
    started_s = time.process_time()
    run = train(network, training, [validation], recipe.load(RECIPES[asked.network]), seed=0)
    return Result(
        sha256=base.card(asked.network, folder).sha256,
        wearer=wearer,
        difficulty=asked.difficulty,
        minutes=asked.minutes,
        zero_shot=zero_shot,
        tuned=validate(network, [test]).percent,
        validation=run.best.cer.percent,
        cpu_s=round(time.process_time() - started_s, 1),
    )


def report(folders: Sequence[Path], found: Sequence[Sequence[Result]]) -> str:
    """A row a base; gains are over the first, in points, with the standard error of their mean."""
    rows = ["| base | wearers | as it is | gain | fine-tuned | gain |", "|---|---|---|---|---|---|"]
    for folder, results in zip(folders, found, strict=True):
        columns = []
        for kind in ("zero_shot", "tuned"):
            mine = {one.wearer: getattr(one, kind) for one in results}
            first = {one.wearer: getattr(one, kind) for one in found[0]}
            both = sorted(mine.keys() & first.keys())
            if both:
                columns.append(f"{statistics.mean(mine[wearer] for wearer in both):.1f} %")
                columns.append(gain([first[wearer] - mine[wearer] for wearer in both]))
        rows.append(f"| {folder} | {len(results)} | {' | '.join(columns)} |")
    return "\n".join(rows)


def gain(differences: Sequence[float]) -> str:
    """Their mean, and its standard error where there is one."""
    mean = f"{statistics.mean(differences):+.1f}"
    if len(differences) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(differences) / math.sqrt(len(differences)):.1f}"


def main() -> None:
    """Compute what is missing, then print the table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "folders", type=Path, nargs="+", help="of bases; the first is what others are held to"
    )
    parser.add_argument("--network", choices=list(RECIPES), default="streaming")
    parser.add_argument("--wearers", type=int, nargs="+", default=list(WEARERS))
    parser.add_argument("--difficulty", default="mid")
    parser.add_argument("--minutes", type=float, default=8.0, help="of typing to fine-tune on")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    given = parser.parse_args()

    torch.set_num_threads(1)
    asked = Asked(given.out, given.network, given.difficulty, given.minutes)
    asked.out.mkdir(parents=True, exist_ok=True)
    for wearer in given.wearers if not given.report else ():
        missing = [folder for folder in given.folders if not asked.path(folder, wearer).is_file()]
        sessions = donnings(wearer, asked) if missing else []
        for folder in missing:
            made = result(folder, wearer, sessions, asked)
            write_atomically(asked.path(folder, wearer), made.model_dump_json(indent=1).encode())
    found = [
        [
            Result.model_validate_json(path.read_bytes())
            for wearer in given.wearers
            if (path := asked.path(folder, wearer)).is_file()
        ]
        for folder in given.folders
    ]
    print(report(given.folders, found))


if __name__ == "__main__":
    main()
