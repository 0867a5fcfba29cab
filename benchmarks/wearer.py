"""How many times faster than real time the simulated wearer is on one core: python benchmarks/wearer.py."""

from __future__ import annotations

import time
from statistics import median

from simulate.difficulty import presets
from simulate.wearer import Wearer

DURATION_S = 120.0
REPEATS = 5


def times_real_time(difficulty: str, repeat: int) -> float:
    """CPU seconds, so that a busy machine does not count."""
    wearer = Wearer(repeat, difficulty)
    began = time.process_time()
    wearer.perform(0, duration_s=DURATION_S)
    return DURATION_S / (time.process_time() - began)


def main() -> None:
    Wearer(0).perform(0, duration_s=5)  # imports and first touches
    for difficulty in presets():
        ratios = [times_real_time(difficulty, repeat) for repeat in range(REPEATS)]
        print(
            f"{difficulty:10} {median(ratios):5.0f} x real time (median of {REPEATS}: "
            f"{min(ratios):.0f} to {max(ratios):.0f})"
        )


if __name__ == "__main__":
    main()
