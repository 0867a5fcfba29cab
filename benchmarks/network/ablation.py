"""What each part of the default network and its recipe is worth, on simulated wearers, from scratch.

    export OMP_NUM_THREADS=1
    python benchmarks/network/ablation.py OUT --processes 2
    python benchmarks/network/ablation.py OUT --arms base average --wearers 41 --seeds 0
    python benchmarks/network/ablation.py OUT --report

A cell is an arm, a wearer and a seed; each leaves a file in OUT, named by all that decides it, so the command
goes on where it was stopped, and more wearers or seeds add cells to those that are there. What is kept is
decided on validation (a donning of its own); test (another) is reported beside it. Gains are against the base
arm of the same wearer and seed, with the standard error of their mean.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from candidates import Offline, Recurrent
from pydantic import BaseModel, ConfigDict
from safetensors import safe_open
from safetensors.numpy import save

from edge.features import BINS
from edge.files import write_atomically
from edge.normalize import prior_from
from personalize import recipe
from personalize.base_users import forbid
from personalize.features import FramedSession
from personalize.labels import Labels
from personalize.networks import Network, build
from personalize.networks.streaming import STREAMING, Streaming
from personalize.train import train, validate
from simulate.recording import to_session
from simulate.wearer import Wearer

BASE: Final = "base"
# Edges in bins of 31.25 Hz. Six as SplashNet (arXiv 2506.12356): 62.5, 125, 250, 375, 687.5 and 1000 Hz;
# twelve halve those.
SIX_BANDS: Final = (0, 2, 4, 8, 12, 22, BINS)
TWELVE_BANDS: Final = (0, 1, 2, 3, 4, 6, 8, 10, 12, 17, 22, 27, BINS)


class Setup(BaseModel):
    """What all cells share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    difficulty: str = "mid"
    sessions: int = 4  # to train on, a donning each; one more chooses the epoch, one more is reported
    session_s: float = 360.0
    judged_s: float = 240.0  # of validation and of test
    steps: int = 300
    evaluations: int = 4


class Arm(NamedTuple):
    """One change to the base, which is the shipped recipe `streaming` at the setup's steps."""

    about: str
    network: Mapping[str, Any] = MappingProxyType({})  # arguments of Streaming, or the `kind` of another
    recipe: Mapping[str, Any] = MappingProxyType({})
    augment: Mapping[str, Any] = MappingProxyType({})


# All products in bfloat16, for time; the arm `float32` says what that costs.
ARMS: Final[dict[str, Arm]] = {
    BASE: Arm("the recipe `streaming`"),
    "average": Arm("moving average of the weights", recipe={"average_decay": 0.98}),
    "electrodes": Arm("whole electrodes vanish", augment={"electrode_masks": 2, "electrode_mask_width": 4}),
    "twelve": Arm("12 bands instead of 33 bins", network={"bands": TWELVE_BANDS}),
    "long": Arm("windows of 10 s, as many seconds a batch", recipe={"window_s": 10.0, "batch_windows": 3}),
    "jitter": Arm("the wrists up to 30 ms apart", augment={"jitter_s": 0.03}),
    "early": Arm("keys said after 64 ms, not 96", network={"label_delay": 8}),
    "late": Arm("keys said after 144 ms, not 96", network={"label_delay": 18}),
    "short": Arm("convolutions of 5 emissions, not 9", network={"widths": STREAMING._replace(kernel=5)}),
    "wide": Arm("an LSTM of 192, not 96", network={"widths": STREAMING._replace(hidden=192)}),
    "offline": Arm("reads whole windows both ways", network={"kind": "offline"}, recipe={"after_s": 0.1}),
    "gru": Arm("a GRU instead of the LSTM", network={"kind": "recurrent", "gru": True}),
    "deep": Arm("two LSTMs, one above the other", network={"kind": "recurrent", "layers": 2}),
    "six": Arm("6 bands instead of 33 bins", network={"bands": SIX_BANDS}),
    "float32": Arm("no bfloat16", recipe={"bfloat16": False}),
    "spatial_lstm": Arm("the seed paper's best, aligned", {"kind": "spatial_lstm"}, {"after_s": 0.1}),
}


class Cell(NamedTuple):
    """An arm on a wearer with a seed."""

    arm: str
    wearer: int
    seed: int


def settings_of(arm: Arm, setup: Setup) -> recipe.Recipe:
    """The recipe of a cell."""
    base = recipe.load("streaming")
    changes: dict[str, object] = {"steps": setup.steps, "evaluations": setup.evaluations, "bfloat16": True}
    return recipe.override(
        base, {**changes, **arm.recipe, "augment": {**base.augment.model_dump(), **arm.augment}}
    )


def network_of(arm: Arm, seed: int) -> Network:
    """Freshly initialised from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match arm.network:
            case {"kind": "offline"}:
                return Offline()
            case {"kind": "recurrent", **recurrence}:
                return Recurrent(**recurrence)
            case {"kind": str(name)}:
                return build(name)
            case options:
                return Streaming(**options)


def result_path(out: Path, cell: Cell, setup: Setup) -> Path:
    """Where the cell's result is: its name says all that decides it."""
    arm = ARMS[cell.arm]
    settings = settings_of(arm, setup).model_dump(
        exclude_defaults=True
    )  # a field that comes to be changes no name
    decides = [setup.model_dump(), settings, repr(dict(arm.network))]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"{cell.arm}-{cell.wearer}-{cell.seed}-{key}.json"


def recordings(out: Path, user: int, setup: Setup) -> list[FramedSession]:
    """Log power of all sessions of a wearer, made once and kept in half precision."""
    forbid(user)
    wearer, found = Wearer(user, setup.difficulty), []
    for number in range(setup.sessions + 2):
        seconds = setup.session_s if number < setup.sessions else setup.judged_s
        file = out / "frames" / f"{setup.difficulty}-{user}-{number}-{seconds:.0f}s.safetensors"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            made = FramedSession.of(to_session(wearer.perform(number, duration_s=seconds)))
            write_atomically(file, save(_arrays(made)))
        found.append(_framed(file))
    return found


def _arrays(session: FramedSession) -> dict[str, np.ndarray]:
    labels = session.labels
    return {
        "values": session.values,
        "valid": session.valid,
        "classes": labels.classes,
        "press_frame": labels.press_frame,
    }


def _framed(file: Path) -> FramedSession:
    with safe_open(file, framework="np") as held:
        labels = Labels(
            timed=True,
            classes=held.get_tensor("classes"),
            press_frame=held.get_tensor("press_frame"),
            phrases=(),
        )
        return FramedSession(file.stem, held.get_tensor("values"), held.get_tensor("valid"), labels)


def compute(out: Path, cells: Sequence[Cell], setup: Setup) -> None:
    """All `cells` of one wearer, in order; those that are there are left alone."""
    torch.set_num_threads(1)
    prepared: dict[str, list[FramedSession]] = {}
    for cell in cells:
        path = result_path(out, cell, setup)
        if path.is_file():
            continue
        network = network_of(ARMS[cell.arm], cell.seed)
        if network.frame_input not in prepared:
            framed = recordings(out, cell.wearer, setup)
            normalized = network.frame_input == "normalized"
            prior = prior_from(s.frames for s in framed[: setup.sessions]) if normalized else None
            prepared[network.frame_input] = [session.prepared(prior) for session in framed]
        write_atomically(
            path, json.dumps(_result(cell, network, prepared[network.frame_input], setup)).encode()
        )


def _result(
    cell: Cell, network: Network, prepared: Sequence[FramedSession], setup: Setup
) -> dict[str, object]:
    settings = settings_of(ARMS[cell.arm], setup)
    *training, validation, test = prepared
    started_s = time.process_time()
    run = train(network, training, [validation], settings, seed=cell.seed)
    return {
        **cell._asdict(),
        "about": ARMS[cell.arm].about,
        "setup": setup.model_dump(),
        "validation": run.best.cer.percent,
        "test": validate(network, [test]).percent,
        "by_step": {e.step: e.cer.percent for e in run.evaluations},
        "cpu_s": round(time.process_time() - started_s, 1),
    }


def report(results: Sequence[dict[str, Any]]) -> str:
    """The table: a row an arm, gains paired over wearers and seeds."""
    by_arm: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}
    for one in results:
        by_arm.setdefault(one["arm"], {})[one["wearer"], one["seed"]] = one
    rows = [
        "| arm | pairs | validation CER | gain ± s.e. | test CER | gain ± s.e. | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in [arm for arm in ARMS if arm in by_arm]:
        pairs = sorted(by_arm[name].keys() & by_arm.get(BASE, {}).keys())
        if not pairs:
            continue
        cells = [by_arm[name][pair] for pair in pairs]
        figures = [
            f"{statistics.mean(cell[kind] for cell in cells):.1f} %" for kind in ("validation", "test")
        ]
        gains = [
            _gain([by_arm[BASE][pair][kind] - by_arm[name][pair][kind] for pair in pairs])
            for kind in ("validation", "test")
        ]
        cpu_s = statistics.mean(cell["cpu_s"] for cell in cells)
        columns = [ARMS[name].about, len(pairs), figures[0], gains[0], figures[1], gains[1], f"{cpu_s:.0f}"]
        rows.append(f"| {' | '.join(map(str, columns))} |")
    return "\n".join(rows)


def _gain(differences: Sequence[float]) -> str:
    """Points of CER gained; no error from a single pair."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return f"{mean:+.1f}"
    return f"{mean:+.1f} ± {statistics.stdev(differences) / math.sqrt(len(differences)):.1f}"


def main() -> None:
    """Compute what is missing, then print the table of all that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--arms", nargs="+", choices=list(ARMS), default=[a for a in ARMS if a != "spatial_lstm"]
    )
    parser.add_argument("--wearers", nargs="+", type=int, default=[41, 42, 43])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--difficulty", default=Setup().difficulty)
    parser.add_argument("--steps", type=int, default=Setup().steps)
    parser.add_argument("--processes", type=int, default=1, help="one a core")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    setup = Setup(difficulty=asked.difficulty, steps=asked.steps)
    asked.out.mkdir(parents=True, exist_ok=True)
    turns = [
        (asked.out, [Cell(arm, wearer, seed) for arm in asked.arms], setup)
        for seed in asked.seeds
        for wearer in asked.wearers
    ]
    if not asked.report:
        with multiprocessing.get_context("spawn").Pool(asked.processes, maxtasksperchild=1) as pool:
            pool.starmap(compute, turns, chunksize=1)
    found = [result_path(out, cell, setup) for out, cells, _ in turns for cell in cells]
    print(report([json.loads(path.read_bytes()) for path in found if path.is_file()]))


if __name__ == "__main__":
    main()
