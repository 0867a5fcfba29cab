"""How the default network stands to the seed paper's best, and to the best that reads whole windows.

    export OMP_NUM_THREADS=1
    python benchmarks/network/yardstick.py OUT --wearers 41  # about an hour of one core
    python benchmarks/network/yardstick.py OUT --report
    python benchmarks/network/yardstick.py OUT --sessions 13 --session-s 1080  # the seed's: 15 hours a wearer

All see the same simulated recordings equally often, from nothing, in batches of eight windows. The baseline,
spatial_lstm, is trained as well as we know how: aligned loss, no loss on padding, the best of three peak
learning rates by validation. It and `offline` read whole windows both ways; the default is causal. Cells are
those of ablation.py: each leaves a file in OUT, and the command goes on where it was stopped. Two goals are
judged: half of the baseline's test CER, and within 1.5 points of the best network that reads both ways.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ablation import ARMS, BASE, Arm, Cell, Setup, compute, result_path, settings_of

BASELINE: Final = "spatial_lstm"
# Peaks of AdamW. The paper's is 1e-3 in batches of 32; small batches and an aligned loss bear more.
RATES: Final = (1.0e-3, 2.0e-3, 5.0e-4)
OFFLINE: Final = "offline"

GOAL_SHARE: Final = 0.5  # of the baseline's test CER
GOAL_POINTS: Final = 1.5  # over the best that reads both ways


def baseline(rate: float) -> str:
    """The name of the baseline's arm at a peak learning rate."""
    return f"{BASELINE}_{rate:.0e}"


def add_rates() -> None:
    """Let `ablation` know the baseline at each rate."""
    arm = ARMS[BASELINE]
    for rate in RATES:
        about = f"{arm.about}, peak {rate:g}"
        ARMS[baseline(rate)] = Arm(about, arm.network, {**arm.recipe, "learning_rate": rate})


def steps_for(epochs: int, setup: Setup) -> int:
    """Updates in which every second of training recordings is seen `epochs` times."""
    settings = settings_of(ARMS[BASE], setup)
    return round(epochs * setup.sessions * setup.session_s / (settings.window_s * settings.batch_windows))


class Standing(NamedTuple):
    """Test CERs of one wearer and seed, in percent."""

    wearer: int
    seed: int
    default: float
    offline: float | None
    baseline: float | None  # at the rate that validation chose
    rates: int  # how many it chose among


def standing(wearer: int, seed: int, found: Mapping[str, dict[str, Any]]) -> Standing | None:
    """What is there of a wearer and seed; None without the default."""
    if BASE not in found:
        return None
    tried = [found[name] for name in map(baseline, RATES) if name in found]
    best = min(tried, key=lambda cell: cell["validation"]) if tried else None
    offline = found.get(OFFLINE)
    return Standing(
        wearer,
        seed,
        found[BASE]["test"],
        None if offline is None else offline["test"],
        None if best is None else best["test"],
        len(tried),
    )


def report(standings: Sequence[Standing], cells: Sequence[dict[str, Any]]) -> str:
    """Every cell, then the two ratios, as Markdown."""
    rows = [
        "| arm | wearer | seed | validation CER by step | test CER | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for cell in cells:
        curve = ", ".join(f"{step}: {cer:.1f}" for step, cer in cell["by_step"].items())
        figures = f"{cell['test']:.1f} % | {cell['cpu_s']:.0f}"
        rows.append(f"| {cell['about']} | {cell['wearer']} | {cell['seed']} | {curve} | {figures} |")
    rows.append("")
    beside = [(one.default / one.baseline, one.rates) for one in standings if one.baseline]
    if beside:
        share = statistics.mean(ratio for ratio, _ in beside)
        rates = min(rates for _, rates in beside)
        rows.append(
            f"default / baseline, best of {rates} rates, {len(beside)} pair(s): {share:.2f} of its test CER, "
            f"goal {GOAL_SHARE}: {'met' if share <= GOAL_SHARE else 'not met'}"
        )
    both = [
        one.default - min(x for x in (one.offline, one.baseline) if x) for one in standings if one.offline
    ]
    if both:
        points = statistics.mean(both)
        rows.append(
            f"default - best that reads both ways, {len(both)} pair(s): {points:+.1f} points, "
            f"goal {GOAL_POINTS}: {'met' if points <= GOAL_POINTS else 'not met'}"
        )
    return "\n".join(rows)


def main() -> None:
    """Compute what is missing, then print what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wearers", nargs="+", type=int, default=[41, 42, 43])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--difficulty", default=Setup().difficulty)
    parser.add_argument("--sessions", type=int, default=2, help="to train on, a donning each")
    parser.add_argument("--session-s", type=float, default=Setup().session_s)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--only", nargs="+", help="some of the arms")
    parser.add_argument("--report", action="store_true", help="compute nothing")
    asked = parser.parse_args()

    add_rates()
    setup = Setup(
        difficulty=asked.difficulty, sessions=asked.sessions, session_s=asked.session_s, evaluations=6
    )
    setup = setup.model_copy(update={"steps": steps_for(asked.epochs, setup)})
    arms = (BASE, OFFLINE, *map(baseline, RATES))
    asked.out.mkdir(parents=True, exist_ok=True)
    every: list[Cell] = []
    for wearer in asked.wearers:
        cells = [Cell(arm, wearer, seed) for seed in asked.seeds for arm in arms]
        if not asked.report:
            compute(asked.out, [cell for cell in cells if cell.arm in (asked.only or arms)], setup)
        every += cells
    found: dict[tuple[int, int], dict[str, dict[str, Any]]] = {}
    for cell in every:
        path = result_path(asked.out, cell, setup)
        if path.is_file():
            found.setdefault((cell.wearer, cell.seed), {})[cell.arm] = json.loads(path.read_bytes())
    standings = [one for pair, results in found.items() if (one := standing(*pair, results))]
    print(report(standings, [one for results in found.values() for one in results.values()]))


if __name__ == "__main__":
    main()
