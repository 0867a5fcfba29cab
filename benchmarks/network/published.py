"""Whether the calibrated wearer ranks what recordings hold as published ablations of real ones do.

    export OMP_NUM_THREADS=1
    python benchmarks/network/published.py OUT   # sessions, electrodes, rate, hands, causality
    python benchmarks/network/published.py OUT --axes hands --pairs 44/0 45/1
    python benchmarks/network/published.py OUT --report

A cell is a level of an axis for a pair of a wearer and a seed; each leaves a file in OUT, so that the command
goes on where it was stopped. Every cell has the same small budget and trains the network
`streaming`, so only the order of levels can be compared with the published figures, which are other networks
of one real person at tens of epochs (docs/simulation.md). Test CER is reported, of a donning that chose
nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from ablation import ARMS, BASE, Arm, Setup, network_of, recordings, settings_of
from scipy.signal import resample_poly
from scipy.stats import spearmanr

from edge.files import write_atomically
from edge.normalize import prior_from
from edge.samples import ELECTRODES, RATE_HZ, SIDES, Float32, Side
from personalize.base_users import forbid
from personalize.features import FramedSession
from personalize.train import train, validate
from simulate.difficulty import CALIBRATED
from simulate.recording import to_session
from simulate.wearer import Wearer

SETUP: Final = Setup(
    difficulty=CALIBRATED, sessions=8, session_s=120.0, judged_s=180.0, steps=250, evaluations=2
)
Variant = Callable[[list[FramedSession]], list[FramedSession]]
"""From all recordings, training ones first, to those that a level has."""


class Level(NamedTuple):
    """One setting of what a published ablation varied."""

    axis: str
    name: str
    published: float  # CER, %
    ours: str = ""  # what stands for it here, where that differs
    arm: str = BASE
    rate_hz: int = RATE_HZ
    variant: Variant | None = None
    steps_share: float = 1.0  # of the setup's

    @property
    def cell(self) -> str:
        """What its results are filed under; nothing changed is one cell, whichever axis asks for it."""
        changed = self.variant or self.arm != BASE or self.rate_hz != RATE_HZ
        return f"{self.axis}-{self.name}".replace(", ", "-").replace(" ", "-") if changed else "whole"


class Pair(NamedTuple):
    """Who types, and the seed of what is trained."""

    wearer: int
    seed: int


def first_sessions(count: int, sessions: list[FramedSession]) -> list[FramedSession]:
    """Train on the first `count`; the last two judge, as ever."""
    return [*sessions[:count], *sessions[-2:]]


def sparse(kept: int, sessions: list[FramedSession]) -> list[FramedSession]:
    """Log power of `kept` electrodes of a band, evenly spaced, the others interpolated around the ring."""
    weights = _around(kept)
    around = [
        session.values.swapaxes(2, 3).astype(np.float32) @ weights for session in sessions
    ]  # (T, W, F, E)
    return [
        replace(session, values=values.swapaxes(2, 3).astype(np.float16))
        for session, values in zip(sessions, around, strict=True)
    ]


def one_hand(side: Side, sessions: list[FramedSession]) -> list[FramedSession]:
    """The other band is missing; its keys are asked for all the same."""
    worn = np.array([name == side for name in SIDES])
    return [replace(session, valid=session.valid & worn) for session in sessions]


def _around(kept: int) -> Float32:
    """Weights (all, all) of linear interpolation around the ring from `kept` electrodes."""
    at = np.round(np.arange(kept) * ELECTRODES / kept)
    unit = np.eye(kept)
    everywhere = np.arange(ELECTRODES)
    columns = [np.interp(everywhere, at, row, period=ELECTRODES) for row in unit]
    weights = np.zeros((ELECTRODES, ELECTRODES), np.float32)
    weights[at.astype(int)] = columns
    return weights


SAME_PASSES: Final = "sessions, same passes"  # as published: whose sessions are fewer, trains for fewer steps
SAME_STEPS: Final = "sessions, same steps"
# Published by students on the seed paper's user and split; ours are the same shares of what there is.
LEVELS: Final = (
    *(
        Level(
            axis,
            f"{theirs}",
            cer,
            f"{ours} of 2 min",
            variant=None if ours == SETUP.sessions else partial(first_sessions, ours),
            steps_share=ours / SETUP.sessions if axis == SAME_PASSES else 1.0,
        )
        for axis in (SAME_PASSES, SAME_STEPS)
        for theirs, ours, cer in ((16, 8, 16.65), (12, 6, 18.77), (8, 4, 21.16), (6, 3, 28.58), (4, 2, 31.36))
    ),
    *(
        Level("electrodes", f"{2 * kept}", cer, variant=None if kept == ELECTRODES else partial(sparse, kept))
        for kept, cer in ((16, 16.65), (12, 16.89), (8, 19.88), (6, 22.87), (4, 26.40))
    ),
    *(
        Level("rate", f"{rate_hz} Hz", cer, rate_hz=rate_hz)
        for rate_hz, cer in ((2000, 16.21), (1000, 15.99), (500, 16.86), (250, 18.98))
    ),
    Level("hands", "both", 16.21),
    Level("hands", "right", 46.7, variant=partial(one_hand, "right")),
    Level("hands", "left", 50.0, variant=partial(one_hand, "left")),
    Level("causality", "both ways", 18.10, arm="offline"),
    Level("causality", "one way", 27.80, "96 ms late"),
)
QUICK: Final = frozenset({"12", "6", "24", "250 Hz"})  # levels left out by --quick


def result_path(out: Path, level: Level, pair: Pair, setup: Setup) -> Path:
    """Where the cell's result is."""
    return out / f"{level.cell}-{pair.wearer}-{pair.seed}-{setup.steps}.json"


def compute(out: Path, level: Level, pair: Pair, setup: Setup) -> None:
    """The cell, unless it is there."""
    path = result_path(out, level, pair, setup)
    if path.is_file():
        return
    forbid(pair.wearer)
    arm = ARMS[level.arm]
    framed = _recordings(out, pair.wearer, setup, level.rate_hz)
    if level.variant is not None:
        framed = level.variant(framed)
    budget = setup.model_copy(update={"steps": round(level.steps_share * setup.steps)})
    write_atomically(path, json.dumps(_result(framed, arm, pair, budget)).encode())


def _recordings(out: Path, user: int, setup: Setup, rate_hz: int) -> list[FramedSession]:
    if rate_hz == RATE_HZ:
        return recordings(out, user, setup)
    wearer, found = Wearer(user, setup.difficulty), []
    for number in range(setup.sessions + 2):
        seconds = setup.session_s if number < setup.sessions else setup.judged_s
        whole = wearer.perform(number, duration_s=seconds)
        slow = resample_poly(whole.emg_uv, 1, RATE_HZ // rate_hz, axis=0)
        again = resample_poly(slow, RATE_HZ // rate_hz, 1, axis=0)[: len(whole.emg_uv)]
        found.append(FramedSession.of(to_session(replace(whole, emg_uv=again.astype(np.float32)))))
    return found


def _result(framed: Sequence[FramedSession], arm: Arm, pair: Pair, setup: Setup) -> dict[str, object]:
    network = network_of(arm, pair.seed)
    prior = prior_from(session.frames for session in framed[:-2])
    *training, validation, test = [session.prepared(prior) for session in framed]
    started_s = time.process_time()
    run = train(network, training, [validation], settings_of(arm, setup), seed=pair.seed)
    return {
        "validation": run.best.cer.percent,
        "test": validate(network, [test]).percent,
        "cpu_s": round(time.process_time() - started_s, 1),
    }


def report(found: Mapping[Level, Sequence[dict[str, Any]]]) -> str:
    """Ours beside the published, and how alike their orders are."""
    rows = [
        "| axis | level | ours | published CER, % | our test CER, % ± s.e. | pairs |",
        "|---|---|---|---|---|---|",
    ]
    for level, cells in found.items():
        cers = [cell["test"] for cell in cells]
        error = f" ± {statistics.stdev(cers) / len(cers) ** 0.5:.1f}" if len(cers) > 1 else ""
        rows.append(
            f"| {level.axis} | {level.name} | {level.ours} | {level.published:.1f} | "
            f"{statistics.mean(cers):.1f}{error} | {len(cers)} |"
        )
    rows += ["", "| axis | levels | Spearman's rank correlation |", "|---|---|---|"]
    for axis in dict.fromkeys(level.axis for level in found):
        levels = [level for level in found if level.axis == axis]
        if len(levels) > 1:
            ours = [statistics.mean(cell["test"] for cell in found[level]) for level in levels]
            rank = float(spearmanr(ours, [level.published for level in levels])[0])
            rows.append(f"| {axis} | {len(levels)} | {rank:+.2f} |")
    return "\n".join(rows)


def _pair(text: str) -> Pair:
    wearer, seed = text.split("/")
    return Pair(int(wearer), int(seed))


def main() -> None:
    """Compute what is missing, then print the tables of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    axes = list(dict.fromkeys(level.axis for level in LEVELS))
    parser.add_argument("--axes", nargs="+", choices=axes, default=axes)
    parser.add_argument(
        "--pairs",
        nargs="+",
        type=_pair,
        default=[Pair(44, 0), Pair(45, 1), Pair(46, 2)],
        metavar="WEARER/SEED",
    )
    parser.add_argument("--quick", action="store_true", help="fewer levels of each axis")
    parser.add_argument("--steps", type=int, default=SETUP.steps)
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    setup = SETUP.model_copy(update={"steps": asked.steps})
    asked.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    levels = [level for level in LEVELS if level.axis in asked.axes]
    if asked.quick:
        levels = [level for level in levels if level.name not in QUICK]
    if not asked.report:
        for pair in asked.pairs:
            for level in levels:
                compute(asked.out, level, pair, setup)
    found = {
        level: [json.loads(path.read_bytes()) for path in paths if path.is_file()]
        for level in levels
        for paths in [[result_path(asked.out, level, pair, setup) for pair in asked.pairs]]
    }
    print(report({level: cells for level, cells in found.items() if cells}))


if __name__ == "__main__":
    main()
