"""After a new donning: what a turn of the bands costs, and what rolling the electrodes or a touch-up mends.

    export OMP_NUM_THREADS=1
    python benchmarks/personalization/donning.py OUT
    python benchmarks/personalization/donning.py OUT --wearers 81 --no-touch-up
    python benchmarks/personalization/donning.py OUT --report

Simulated wearers, none of whom the base has met. A model is fitted from the base to two donnings of 4
minutes; then the bands are put on anew, which turns them a little by itself, and by whole electrodes besides.
The first 20 s of that donning are what `qwrist don` hears, its first ten sentences what the touch-up learns
from, rolled, and the CER is of what follows. A wearer leaves a file in OUT, named by all that decides it,
so the command goes on where it was stopped. No figure is a person's.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from prompts_only import JUDGED_S, SESSION_S, TEST, VALIDATION, WEARERS, Setup, mean_error, settings_of, take

from edge.features import FRAME_RATE_HZ
from edge.files import write_atomically
from edge.normalize import Prior, prior_from
from edge.scoring import total
from personalize import base, recipe
from personalize.cross_validation import Lesson, cross_validate, teach
from personalize.donning import SECONDS, mean_prints, prints, seats
from personalize.features import FramedSession
from personalize.gate import cut_at
from personalize.networks import Network
from personalize.touch_up import EXCERPT_S, FEWEST_SENTENCES, REHEARSED, decide, excerpt, rolled
from personalize.train import train, validate
from personalize.ways import fitting
from simulate.difficulty import preset
from simulate.ring import Donning
from simulate.seeds import stream
from simulate.wearer import Wearer

TODAY: Final = 50  # the new donning's session number
TODAY_S: Final = 240.0
TURNS: Final = (0, 1, 2, 3)  # electrodes besides
SESSIONS: Final = 2  # donnings that the model is fitted to


class Cell(NamedTuple):
    """A wearer and a seed, with a touch-up or without."""

    touched: bool
    wearer: int
    seed: int


def touching(steps: int | None) -> recipe.Recipe:
    """The recipe of the touch-up."""
    loaded = recipe.load("touch_up")
    return loaded if steps is None else recipe.override(loaded, {"steps": steps})


def result_path(out: Path, cell: Cell, setup: Setup, touch: recipe.Recipe) -> Path:
    """Where the cell's result is: its name says all that decides it, the base among it."""
    settings = settings_of(setup)
    made_of = base.card(settings.network).sha256
    decides = [setup.model_dump(), settings.model_dump(), touch.model_dump(), made_of]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    return out / f"donning-{int(cell.touched)}-{cell.wearer}-{cell.seed}-{key}.json"


class Fitted(NamedTuple):
    """A model, the log power of what it was trained on, and of its test recording."""

    network: Network
    prior: Prior
    trained: list[FramedSession]
    test: FramedSession


def fitted(out: Path, wearer: Wearer, setup: Setup, seed: int) -> Fitted:
    """The model in use before the bands are put on anew."""
    trained = [take(out, wearer, number, SESSION_S).keys for number in range(SESSIONS)]
    validation, test = (take(out, wearer, number, JUDGED_S).keys for number in (VALIDATION, TEST))
    prior = prior_from(one.frames for one in trained)
    settings = recipe.for_minutes(settings_of(setup), SESSIONS * SESSION_S / 60)
    network = base.load(settings.network)
    cuts = [one.prepared(prior) for one in trained], [validation.prepared(prior)]
    with fitting(network, settings.way, seed) as whole:
        train(whole, *cuts, settings, seed=seed)
    return Fitted(network, prior, trained, test)


def compute(out: Path, cells: Sequence[Cell], setup: Setup, touch: recipe.Recipe) -> None:
    """All `cells`, in order; those that are there are left alone."""
    torch.set_num_threads(1)
    for cell in cells:
        path = result_path(out, cell, setup, touch)
        if path.is_file():
            continue
        wearer = Wearer(cell.wearer, setup.difficulty)
        model, today = fitted(out, wearer, setup, cell.seed), take(out, wearer, TODAY, TODAY_S)
        ends = [phrase.end_frame for phrase in today.prompts.phrases[:FEWEST_SENTENCES]]
        cut = ceil(ends[-1]) + 1
        turns = {turn: _turned(model, turned(today.keys, turn), cut) for turn in TURNS}
        result = {**cell._asdict(), "setup": setup.model_dump(), "sat": sat(wearer), "turns": turns}
        if cell.touched:
            straight = rolled(today.keys, turns[0]["turned"])
            result |= _touched(model, straight, ends, cut, touch, cell.seed)
        write_atomically(path, json.dumps(result).encode())


def sat(wearer: Wearer) -> list[float]:
    """By how many electrodes each band is turned by itself, against the middle of training."""
    assert isinstance(wearer.difficulty, str)
    difficulty = preset(wearer.difficulty)
    rotation = [
        [
            Donning.draw(difficulty, stream("donning", wearer.user, number, wrist)).rotation
            for number in (*range(SESSIONS), TODAY)
        ]
        for wrist in range(2)
    ]
    return [round(today - statistics.mean(before), 3) for *before, today in rotation]


def turned(session: FramedSession, turn: int) -> FramedSession:
    """As bands hear it that are turned by so many electrodes more."""
    return replace(session, values=np.roll(session.values, -turn, axis=2))


def _cer(network: Network, model: Fitted, today: FramedSession, cut: int) -> float:
    """Of what follows the sentences, in percent."""
    return validate(network, [today.prepared(model.prior).between(cut, len(today.values))]).percent


def _turned(model: Fitted, today: FramedSession, cut: int) -> dict[str, Any]:
    """What `qwrist don` finds, and the CER as worn and rolled."""
    heard = today.between(0, round(SECONDS * FRAME_RATE_HZ)).frames
    found = seats(mean_prints(prints(one.frames) for one in model.trained), prints(heard))
    turns = found[0].turned, found[1].turned
    return {
        "turned": turns,
        "sure": [seat.is_sure for seat in found],
        "plain": _cer(model.network, model, today, cut),
        "rolled": _cer(model.network, model, rolled(today, turns), cut),
    }


def _touched(
    model: Fitted, today: FramedSession, ends: list[float], cut: int, touch: recipe.Recipe, seed: int
) -> dict[str, object]:
    """What ten sentences bring."""
    started_s = time.process_time()
    rng = np.random.default_rng(seed)
    sentences = today.between(0, cut)
    keys = np.searchsorted(sentences.labels.press_frame, ends, "right").tolist()
    count = round(REHEARSED * cut / FRAME_RATE_HZ / EXCERPT_S)
    rehearsal = tuple(
        excerpt(model.trained[number], model.prior, rng) for number in rng.integers(SESSIONS, size=count)
    )
    lesson = Lesson(sentences.prepared(model.prior), cut_at(sentences.labels, [0, *keys]), rehearsal)
    told = cross_validate(model.network, lesson, touch, seed=seed)
    network = copy.deepcopy(model.network)
    teach(network, [lesson.new, *rehearsal], touch, seed=seed)
    cpu_s = time.process_time() - started_s
    old, new = (validate(one, [model.test.prepared(model.prior)]).percent for one in (model.network, network))
    return {
        "touched_up": _cer(network, model, today, cut),
        "sentences_before": total(told.before).percent,
        "sentences_after": total(told.after).percent,
        "probability": told.probability,
        "lost": new - old,
        "kept": decide(told, new - old).promoted,
        "cpu_s": round(cpu_s, 1),
    }


def report(results: Sequence[dict[str, Any]]) -> str:
    """Two tables, of turns and of touch-ups: means over wearers and seeds with their standard errors."""
    rows = [
        "| turned by | runs | as worn | rolled | bands found within an electrode | of them sure |",
        "|---|---|---|---|---|---|",
    ]
    for turn in map(str, TURNS):
        own = [one["turns"][turn] for one in results]
        off = [
            abs(found - int(turn) - by_itself)
            for one in results
            for found, by_itself in zip(one["turns"][turn]["turned"], one["sat"], strict=True)
        ]
        sure = sum(band for one in own for band in one["sure"])
        cers = [f"{mean_error([one[kind] for one in own])} %" for kind in ("plain", "rolled")]
        found = f"{sum(apart < 1 for apart in off)} of {len(off)}"
        rows.append(f"| {turn} | {len(own)} | {' | '.join(cers)} | {found} | {sure} |")
    rows += ["", *_touch_ups([one for one in results if "touched_up" in one])]
    return "\n".join(rows)


def _touch_ups(results: Sequence[dict[str, Any]]) -> list[str]:
    rows = [
        "| wearer | seed | rolled | touched up | sentences before, after | P | lost before | kept | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        columns = [
            one["wearer"],
            one["seed"],
            f"{one['turns']['0']['rolled']:.1f} %",
            f"{one['touched_up']:.1f} %",
            f"{one['sentences_before']:.1f}, {one['sentences_after']:.1f} %",
            f"{one['probability']:.3f}",
            f"{one['lost']:+.1f}",
            "yes" if one["kept"] else "no",
            f"{one['cpu_s']:.0f}",
        ]
        rows.append(f"| {' | '.join(map(str, columns))} |")
    return rows


def main() -> None:
    """Compute what is missing, then print the table of all that was asked for and is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--no-touch-up", action="store_true", help="what a roll mends alone: quicker")
    parser.add_argument("--wearers", nargs="+", type=int, default=list(WEARERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--difficulty", default=Setup().difficulty)
    parser.add_argument("--steps", type=int, default=None, help="of the first fit, instead of the recipe's")
    parser.add_argument("--touch-steps", type=int, default=None, help="of the touch-up, instead of its own")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    setup, touch = Setup(difficulty=asked.difficulty, steps=asked.steps), touching(asked.touch_steps)
    who = [(wearer, seed) for seed in asked.seeds for wearer in asked.wearers]
    cells = [Cell(not asked.no_touch_up, wearer, seed) for wearer, seed in who]
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        compute(asked.out, cells, setup, touch)
    paths = [result_path(asked.out, cell, setup, touch) for cell in cells]
    print(report([json.loads(path.read_bytes()) for path in paths if path.is_file()]))


if __name__ == "__main__":
    main()
