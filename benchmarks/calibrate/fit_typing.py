"""Fit the shipped typing statistics to real keystroke logs.

    python benchmarks/calibrate/fit_typing.py LOGS

LOGS is a folder of *_keystrokes.csv.gz (columns sub, ses, onset and duration in s, key): labels of
emg2qwerty, CC BY-NC-SA, so they stay where they are. Writes simulate/typing.json, or --out: the same bytes
each time.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from edge.charset import BACKSPACE
from edge.files import write_atomically
from edge.samples import SIDES, Float64, KeyPress
from simulate.keyboard import Pair, base_key, layout, pair_of
from simulate.typing_statistics import TRAITS, PairTiming, TypingStatistics
from simulate.typist import NOTICED

SHIPPED: Final = Path(__file__).resolve().parents[2] / "simulate" / "typing.json"
LEVELS: Final = (
    *(0.001, 0.005, 0.01, 0.025, 0.05),
    *(round(0.1 + 0.05 * i, 2) for i in range(17)),
    *(0.95, 0.975, 0.99, 0.995, 0.999),
)
POLL_S: Final = 0.015  # data_and_models: 99 % of intervals are multiples, in 91 of 108 people
_ON_GRID_S: Final = 0.0011  # counts as a multiple
_LATEST: Final = 12  # letters after a slip; more (0.4 % of corrections) count as so many
_LONG_S: Final = 20.0  # a pause that is no part of typing
_QUARTILES: Final = 2 * NormalDist().inv_cdf(0.75)  # interquartile range of a normal spread of 1
_LETTERS: Final = (Pair.REPEAT, Pair.SAME_FINGER, Pair.SAME_HAND, Pair.ALTERNATE)


class Step(NamedTuple):
    """Two presses of a log, one after the other."""

    pair: Pair
    interval_s: float
    hold_s: float  # of the first


class Person(NamedTuple):
    """One person's log, reduced."""

    steps: tuple[Step, ...]
    slips: Counter[int]  # by letters typed before they were seen
    traits: Mapping[str, float]
    polled: bool


def read(folder: Path) -> dict[str, dict[str, list[KeyPress]]]:
    """Keys by person and session, in the order of their presses."""
    found: dict[str, dict[str, list[KeyPress]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*_keystrokes.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                press_s = float(row["onset"])
                key = KeyPress(row["key"], press_s, press_s + float(row["duration"]))
                found[row["sub"]][row["ses"]].append(key)
    for sessions in found.values():
        for keys in sessions.values():
            keys.sort(key=lambda key: key.press_s)
    return found


def person(sessions: Mapping[str, Sequence[KeyPress]], rng: np.random.Generator) -> Person:
    """What one person's sessions say. Key times on the poll's grid are spread over it."""
    runs = [steps_of(keys) for keys in sessions.values()]
    steps = [step for run in runs for step in run]
    gaps_s = np.array([step.interval_s for step in steps])
    off_s = np.abs(gaps_s / POLL_S - np.round(gaps_s / POLL_S)) * POLL_S
    polled = float(np.mean(off_s[gaps_s < 1] < _ON_GRID_S)) > 0.8
    if polled:
        dither_s = rng.uniform(-POLL_S / 2, POLL_S / 2, (len(steps), 2))
        steps = [
            step._replace(interval_s=step.interval_s + a, hold_s=step.hold_s + b)
            for step, (a, b) in zip(steps, dither_s.tolist(), strict=True)
        ]
    steps = [step for step in steps if step.interval_s > 0.002 and step.hold_s > 0.002]
    slips = Counter(late for keys in sessions.values() for late in corrections(keys))
    return Person(tuple(steps), slips, _traits(steps, slips, sessions), polled)


def steps_of(keys: Sequence[KeyPress]) -> list[Step]:
    """The pairs of a session whose keys the simulated keyboard has."""
    places = layout(SIDES, "right")
    return [
        Step(pair_of(places, a.key, b.key), b.press_s - a.press_s, a.release_s - a.press_s)
        for a, b in pairwise(keys)
        if base_key(a.key) in places and base_key(b.key) in places and b.press_s - a.press_s < _LONG_S
    ]


def corrections(keys: Sequence[KeyPress]) -> Iterator[int]:
    """Of each run of backspaces: how many of what they erase came after the slip, if it was one slip."""
    run = 0
    for key in [*(key.key for key in keys), ""]:
        if key == BACKSPACE:
            run += 1
        elif run:
            yield min(run - 1, _LATEST)
            run = 0


def _traits(
    steps: Sequence[Step], slips: Counter[int], sessions: Mapping[str, Sequence[KeyPress]]
) -> dict[str, float]:
    letters = [step for step in steps if step.pair in _LETTERS]
    intervals, holds = (np.log([step[i] for step in letters]) for i in (1, 2))
    struck = Counter(key.key.isalpha() and len(key.key) == 1 for keys in sessions.values() for key in keys)
    erased = sum((late + 1) * count for late, count in slips.items())
    values = (
        math.exp(np.median(intervals)),
        _spread(intervals),
        math.exp(np.median(holds)),
        _spread(holds),
        slips.total() / NOTICED / (struck[True] - erased),
    )
    return dict(zip(TRAITS, values, strict=True))


def _spread(values: Float64) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) / _QUARTILES


def fit(people: Sequence[Person], *, sessions: int, keys: int) -> TypingStatistics:
    """Pool the people: each of the same weight in a quantile as they have pairs of that kind."""
    traits = np.log([[one.traits[name] for name in TRAITS] for one in people])
    slips = sum((one.slips for one in people), Counter[int]())
    return TypingStatistics(
        source="emg2qwerty keystroke labels (nm000104), fitted by benchmarks/calibrate/fit_typing.py",
        people=len(people),
        sessions=sessions,
        keys=keys,
        levels=LEVELS,
        trait_mean=_rounded(traits.mean(0)),
        trait_covariance=tuple(_rounded(row, 6) for row in np.cov(traits.T)),
        timings={pair: _timing(pair, people) for pair in Pair},
        late=_shares([slips[late] for late in range(_LATEST + 1)]),
        poll_s=POLL_S,
        polled=round(float(np.mean([one.polled for one in people])), 3),
    )


def _timing(pair: Pair, people: Sequence[Person]) -> PairTiming:
    intervals, holds, correlations = [], [], []
    for one in people:
        own = np.log([step[1:] for step in one.steps if step.pair is pair]).reshape(-1, 2)
        t = one.traits
        intervals.append((own[:, 0] - math.log(t["interval_s"])) / t["interval_spread"])
        holds.append((own[:, 1] - math.log(t["hold_s"])) / t["hold_spread"])
        if len(own) > 50:
            correlations.append(np.corrcoef(_ranks(own[:, 0]), _ranks(own[:, 1]))[0, 1])
    pooled = [np.concatenate(parts) for parts in (intervals, holds)]
    rank = float(np.mean(correlations))
    return PairTiming(
        pairs=len(pooled[0]),
        interval=_rounded(np.quantile(pooled[0], LEVELS)),
        hold=_rounded(np.quantile(pooled[1], LEVELS)),
        correlation=round(2 * math.sin(math.pi / 6 * rank), 3),  # of normal deviates with that of ranks
    )


def _ranks(values: Float64) -> np.typing.NDArray[np.intp]:
    return np.argsort(np.argsort(values))


def _rounded(values: Sequence[float] | Float64, digits: int = 4) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    """Four digits each, and one in sum."""
    shares = [round(count / sum(counts), 4) for count in counts]
    return (round(1 - sum(shares[1:]), 4), *shares[1:])


def main() -> None:
    """Read, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("logs", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    asked = parser.parse_args()

    logs = read(asked.logs)
    rng = np.random.default_rng(0)  # of the spreading over the grid
    people = [person(logs[name], rng) for name in sorted(logs)]
    every = [keys for sessions in logs.values() for keys in sessions.values()]
    statistics = fit(people, sessions=len(every), keys=sum(map(len, every)))
    write_atomically(asked.out, (statistics.model_dump_json(indent=1) + "\n").encode())
    print(f"{asked.out}: {statistics.people} people, {statistics.sessions} sessions, {statistics.keys} keys")


if __name__ == "__main__":
    main()
