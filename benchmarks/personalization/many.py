"""What fitting many users costs, and what a second process is worth.

    python benchmarks/personalization/many.py OUT                      # 4 users of 8 min, 1 and 2 processes
    python benchmarks/personalization/many.py OUT --engine ray --workers 2
    python benchmarks/personalization/many.py OUT --users 2 --steps 20   # quick; no figure of a whole fit
    python benchmarks/personalization/many.py OUT --report

Simulated wearers whom the base has not met, recorded once into OUT; then each arm fits all of them in a store
of its own. Wall time says something only where nothing else runs: the load before each arm is printed beside
it. A finished arm leaves a file in OUT and is not run again; one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel

from edge.files import write_atomically
from edge.session import write_session
from edge.store import UserStore
from personalize import base, recipe
from personalize.base_users import forbid
from personalize.many import local, on_ray
from personalize.many.job import Engine, Order
from personalize.many.key import code_hash
from personalize.many.report import FILE_NAME, AllReport
from personalize.many.run import personalize_all
from simulate.recording import to_session
from simulate.wearer import Wearer

FIRST: Final = 70  # the wearers' numbers begin here
DIFFICULTY: Final = "mid"
TO_TRAIN: Final = 2  # donnings; two more validate and test
JUDGED_MINUTES: Final = 2.0  # each of these


class Arm(NamedTuple):
    """A way to fit everybody."""

    engine: str
    workers: int

    def run(self) -> Engine:
        """What does the jobs."""
        return partial({"local": local.run, "ray": on_ray.run}[self.engine], workers=self.workers)


class Measured(BaseModel):
    """An arm that is finished."""

    engine: str
    workers: int
    minutes: float
    load: float  # average of a minute, before it began
    report: AllReport


def recorded(out: Path, users: int, minutes: float) -> UserStore:
    """The store that all arms are copied from."""
    store = UserStore(out / f"recordings-{minutes:g}-min")
    for number in range(FIRST, FIRST + users):
        forbid(number)
        name = f"sim-{number}"
        user = store.user(name) if name in store.users() else store.create(name)
        wearer = Wearer(number, DIFFICULTY)
        lengths = [minutes / TO_TRAIN] * TO_TRAIN + [JUDGED_MINUTES] * 2
        for donning, length in enumerate(lengths):
            path = user.session_path(f"session-{donning + 1:04d}")
            if not path.exists():
                print(f"recording {name}, donning {donning}", flush=True)
                write_session(path, to_session(wearer.perform(donning, duration_s=60 * length)))
    return store


def measure(out: Path, store: UserStore, arm: Arm, order: Order, users: int, minutes: float) -> None:
    """Fit everybody unless that was done."""
    steps = "default" if order.recipe.by_minutes else order.recipe.steps
    name = f"{arm.engine}-{arm.workers}-{users}-users-{minutes:g}-min-{steps}-steps"
    name += f"-base-{base.card(order.recipe.network).sha256[:8]}"
    result = out / f"{name}.json"
    if result.exists():
        return
    own = UserStore(out / name)
    for number in range(FIRST, FIRST + users):
        user = store.user(f"sim-{number}")
        shutil.copytree(user.path / "sessions", own.root / "users" / user.id / "sessions", dirs_exist_ok=True)
    load = os.getloadavg()[0]
    print(f"{name}: begins", flush=True)
    report = personalize_all(own, order, arm.run(), name=arm.engine)
    if report.interrupted or report.count("fitted") < users:
        raise SystemExit(
            f"not everybody was fitted in one go: see {own.root / FILE_NAME}, and remove {own.root}"
        )
    found = Measured(
        engine=arm.engine, workers=arm.workers, minutes=minutes, load=round(load, 1), report=report
    )
    write_atomically(result, found.model_dump_json(indent=1).encode())
    shutil.rmtree(own.root)


def show(out: Path) -> None:
    """A table of what was measured. Simulated wearers."""
    arms = [
        Measured.model_validate_json(path.read_bytes()) for path in sorted(out.glob("*-steps-base-*.json"))
    ]
    print("| engine | at once | users | min each | steps | wall s | wall s a user | CPU-s a user | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    for arm in arms:
        users = arm.report.users
        steps = "default" if arm.report.recipe.by_minutes else arm.report.recipe.steps
        cpu = [user.cpu_s for user in users if user.cpu_s is not None]
        print(
            f"| {arm.engine} | {arm.workers} | {len(users)} | {arm.minutes:g} | {steps} "
            f"| {arm.report.seconds:.0f} | {arm.report.seconds / len(users):.1f} "
            f"| {statistics.mean(cpu):.1f} | {arm.load:.1f} |"
        )


def main() -> None:
    """Measure what is missing, then show all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=8.0, help="to train on, of each user")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--steps", type=int, help="fewer than the recipe's: no figure of a whole fit")
    parser.add_argument("--report", action="store_true", help="only show what was measured")
    asked = parser.parse_args()
    if not asked.report:
        chosen = recipe.load("finetune")
        if asked.steps is not None:
            chosen = recipe.override(chosen, {"steps": asked.steps})
        store = recorded(asked.out, asked.users, asked.minutes)
        order = Order(recipe=chosen, code=code_hash())
        for workers in asked.workers:
            measure(asked.out, store, Arm(asked.engine, workers), order, asked.users, asked.minutes)
    show(asked.out)


if __name__ == "__main__":
    main()
