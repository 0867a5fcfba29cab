"""What it costs not to know when keys were pressed: prompts alone against a keyboard's log, from the base.

    export OMP_NUM_THREADS=1
    python benchmarks/personalization/prompts_only.py OUT
    python benchmarks/personalization/prompts_only.py OUT --minutes 8 --wearers 81 --seeds 0
    python benchmarks/personalization/prompts_only.py OUT --arms scratch-plain scratch-aligned --steps 300
    python benchmarks/personalization/prompts_only.py OUT --report

The same signals of simulated wearers, who slip and correct themselves as they type prompts, with three
truths: the log of their keys; the prompts, by plain CTC; the prompts, aligned in rounds
(personalize.prompted). Epochs are chosen on a donning with the same kind of truth; the CER is another
donning's, against its log. Timing errors are of the keys that prompt and log have in common, before training
in full. A cell leaves a file in OUT, named by all that decides it, so the command goes on where it was
stopped. No figure is a person's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors import safe_open
from safetensors.numpy import save

from edge.features import FRAME_RATE_HZ
from edge.files import write_atomically
from edge.normalize import prior_from
from edge.samples import SIDES
from edge.scoring import matches
from edge.session import PROMPTED
from personalize import base, recipe
from personalize.base_users import forbid
from personalize.features import FramedSession
from personalize.labels import Labels, Phrase, labels_of
from personalize.prompted import align_sessions, find_key_times
from personalize.train import initial_network, train, validate
from simulate.recording import to_session
from simulate.wearer import Wearer

# Wearers 31 and 32 chose the least score of an alignment, what is in doubt and the rounds; neither is here.
WEARERS: Final = (81, 82, 83)
SESSION_S: Final = 240.0  # a donning of the training recordings: 4, 8 and 16 minutes are 1, 2 and 4 of them
VALIDATION, TEST = 100, 101  # their sessions' numbers, whatever trains
JUDGED_S: Final = 180.0
ARMS: Final = {
    "zero": "the base as it is",
    "plain": "prompts, plain CTC",
    "aligned": "prompts, aligned in rounds",
    "keys": "a log of the keys",
    "scratch-plain": "from scratch: prompts, plain CTC",
    "scratch-aligned": "from scratch: prompts, aligned by the base in rounds",
    "scratch-keys": "from scratch: a log of the keys",
}


class Setup(BaseModel):
    """What all cells share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    difficulty: str = "mid"
    recipe: str = "finetune"  # "streaming" from scratch
    steps: int | None = None  # None: the recipe's


class Cell(NamedTuple):
    """A truth, minutes of training recordings, a wearer and a seed."""

    arm: str
    minutes: int
    wearer: int
    seed: int


class Taken(NamedTuple):
    """A recording with both truths."""

    keys: FramedSession
    prompts: Labels

    @property
    def prompted(self) -> FramedSession:
        """The same signals, their truth the prompts."""
        return replace(self.keys, labels=self.prompts)


def settings_of(setup: Setup, *, scratch: bool = False) -> recipe.Recipe:
    """The recipe of a cell."""
    loaded = recipe.load("streaming" if scratch else setup.recipe)
    return loaded if setup.steps is None else recipe.override(loaded, {"steps": setup.steps})


def result_path(out: Path, cell: Cell, setup: Setup) -> Path:
    """Where the cell's result is: its name says all that decides it, the base among it."""
    settings = settings_of(setup, scratch=_is_scratch(cell))
    decides = [setup.model_dump(), settings.model_dump(), base.card(settings.network).sha256]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"{cell.arm}-{cell.minutes}-{cell.wearer}-{cell.seed}-{key}.json"


def _is_scratch(cell: Cell) -> bool:
    return cell.arm.startswith("scratch")


def take(out: Path, wearer: Wearer, session: int, seconds: float) -> Taken:
    """Log power of a recording and both its truths, made once and kept in half precision."""
    forbid(wearer.user)
    who = "-".join([str(wearer.difficulty), str(wearer.user), *wearer.missing])
    if wearer.sides != SIDES:
        who += f"-{wearer.sides[0]}"
    file = out / "frames" / f"{who}-{session}-{seconds:.0f}s.safetensors"
    if not file.is_file():
        performance = wearer.perform(session, duration_s=seconds)
        framed = FramedSession.of(to_session(performance))
        prompts = labels_of(to_session(performance, condition=PROMPTED))
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            "values": framed.values,
            "valid": framed.valid,
            "classes": framed.labels.classes,
            "press_frame": framed.labels.press_frame,
        }
        write_atomically(file, save(arrays, {"phrases": json.dumps(prompts.phrases)}))
    with safe_open(file, framework="np") as held:
        none = np.zeros(0)
        phrases = tuple(
            Phrase(start, end, tuple(classes))
            for start, end, classes, *_ in json.loads(held.metadata()["phrases"])
        )
        keys = Labels(
            timed=True,
            classes=held.get_tensor("classes"),
            press_frame=held.get_tensor("press_frame"),
            phrases=(),
        )
        framed = FramedSession(file.stem, held.get_tensor("values"), held.get_tensor("valid"), keys)
        return Taken(
            framed, Labels(timed=False, classes=none.astype(np.int64), press_frame=none, phrases=phrases)
        )


def compute(out: Path, cells: Sequence[Cell], setup: Setup) -> None:
    """All `cells`, in order; those that are there are left alone."""
    torch.set_num_threads(1)
    for cell in cells:
        path = result_path(out, cell, setup)
        if not path.is_file():
            write_atomically(path, json.dumps(_result(out, cell, setup)).encode())


def _result(out: Path, cell: Cell, setup: Setup) -> dict[str, object]:
    count = round(60 * cell.minutes / SESSION_S)
    wearer = Wearer(cell.wearer, setup.difficulty)
    trained = [take(out, wearer, number, SESSION_S) for number in range(count)]
    validation, test = (take(out, wearer, number, JUDGED_S) for number in (VALIDATION, TEST))
    prior = prior_from(one.keys.frames for one in trained)
    trained, (validation, test) = (
        [one._replace(keys=one.keys.prepared(prior)) for one in some]
        for some in (trained, [validation, test])
    )
    tuning, settings = settings_of(setup), settings_of(setup, scratch=_is_scratch(cell))
    reader = base.load(settings.network)
    network = initial_network(settings.network, cell.seed) if _is_scratch(cell) else reader
    found: dict[str, object] = {**cell._asdict(), "setup": setup.model_dump()}
    started_s = time.process_time()
    prompted, keys = [one.prompted for one in trained], [one.keys.labels for one in trained]
    match cell.arm.removeprefix("scratch-"):
        case "zero":
            prompted = align_sessions(network, prompted).sessions
        case "keys":
            train(network, [one.keys for one in trained], [validation.keys], settings, seed=cell.seed)
        case "plain":
            train(network, prompted, [validation.prompted], settings, seed=cell.seed)
        case "aligned":
            times = find_key_times(reader, prompted, [validation.prompted], tuning, seed=cell.seed)
            train(network, times.sessions, [validation.prompted], settings, seed=cell.seed)
            prompted, found["rounds"] = times.sessions, [one._asdict() for one in times.rounds]
    found["cpu_s"] = round(time.process_time() - started_s, 1)
    found["test"] = validate(network, [test.keys]).percent
    errors_s = [timing_errors_s(one.labels, log) for one, log in zip(prompted, keys, strict=True)]
    apart_ms = 1000 * np.abs(np.concatenate(errors_s))
    if len(apart_ms):
        found["apart_ms"] = [float(np.percentile(apart_ms, q)) for q in (50, 90)]
    return found


def timing_errors_s(prompts: Labels, keys: Labels) -> np.ndarray:
    """Aligned less true time of each key that prompt and log have in common."""
    errors = []
    for phrase in prompts.phrases:
        if not phrase.press_frame:
            continue
        # Enter ends a prompt as it is pressed: a frame of tolerance on either side.
        inside = (keys.press_frame >= phrase.start_frame - 1) & (keys.press_frame <= phrase.end_frame + 1)
        pressed = keys.press_frame[inside]
        for meant, done in matches(phrase.classes, keys.classes[inside].tolist()):
            errors.append((phrase.press_frame[meant] - pressed[done]) / FRAME_RATE_HZ)
    return np.array(errors)


def report(results: Sequence[dict[str, Any]]) -> str:
    """The table: a row a truth and minutes; means over wearers and seeds with their standard errors."""
    rows = [
        "| minutes | truth | runs | test CER | below plain CTC | times off by, median / p90, ms | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = sorted({(one["minutes"], list(ARMS).index(one["arm"])) for one in results})
    for minutes, arm in [(minutes, list(ARMS)[index]) for minutes, index in kinds]:
        own = {(r["wearer"], r["seed"]): r for r in results if (r["minutes"], r["arm"]) == (minutes, arm)}
        other = "scratch-plain" if arm.startswith("scratch") else "plain"
        plain = {(r["wearer"], r["seed"]): r for r in results if (r["minutes"], r["arm"]) == (minutes, other)}
        gains = [plain[pair]["test"] - own[pair]["test"] for pair in sorted(own.keys() & plain.keys())]
        cer, cpu_s = ([one[name] for one in own.values()] for name in ("test", "cpu_s"))
        apart = [one["apart_ms"] for one in own.values() if "apart_ms" in one]
        columns = [
            minutes,
            ARMS[arm],
            len(own),
            f"{mean_error(cer)} %",
            "" if arm == other or not gains else f"{mean_error(gains)}",
            " / ".join(f"{statistics.mean(part):.0f}" for part in zip(*apart, strict=True)),
            f"{statistics.mean(cpu_s):.0f}",
        ]
        rows.append(f"| {' | '.join(map(str, columns))} |")
    return "\n".join(rows)


def mean_error(values: Sequence[float]) -> str:
    """With the standard error, which a single value has not."""
    mean = f"{statistics.mean(values):.1f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.1f}"


def main() -> None:
    """Compute what is missing, then print the table of all that was asked for and is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS)[:4])
    parser.add_argument("--minutes", nargs="+", type=int, choices=(4, 8, 16), default=[4, 8, 16])
    parser.add_argument("--wearers", nargs="+", type=int, default=list(WEARERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--difficulty", default=Setup().difficulty)
    parser.add_argument("--steps", type=int, default=None, help="instead of the recipe's")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    setup = Setup(difficulty=asked.difficulty, steps=asked.steps)
    cells = [
        Cell(arm, minutes, wearer, seed)
        for seed in asked.seeds
        for wearer in asked.wearers
        for minutes in asked.minutes
        for arm in asked.arms
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        compute(asked.out, cells, setup)
    paths = [result_path(asked.out, cell, setup) for cell in cells]
    print(report([json.loads(path.read_bytes()) for path in paths if path.is_file()]))


if __name__ == "__main__":
    main()
