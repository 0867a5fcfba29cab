"""Two machines of Ray on this one, of which one dies at work: run as a module, with a folder for a store.

Apart from pytest's process, for Ray warns of much and leaves threads. The last line tells what happened.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

from edge.store import UserStore
from personalize.many import on_ray
from personalize.many.job import Job, Outcome
from personalize.many.run import personalize_all
from tests.personalize.many.people import brief_work, order, people
from tests.personalize.many.planted import DOOMED, deadly_work

NAMES = [f"u{number}" for number in range(5)]
FOREVER_S = 3600.0  # a task on the doomed node is at work until its node dies


def watched_work(job: Job) -> Outcome:
    """The worker's own; leaves a mark of each try, and on the doomed node never ends."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    marks = job.store / "tries"
    (marks / f"{job.user} {node} {os.getpid()}").touch()
    if node == (job.store / "doomed").read_text():
        sleep(FOREVER_S)
    return brief_work(job)


def two_nodes() -> tuple[Any, Any]:
    """A cluster, and the one of its nodes that will be killed."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        shutdown_at_exit=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
    )
    return cluster, cluster.add_node(num_cpus=1)


def kill_at_work(cluster: Any, doomed: Any, marks: Path) -> None:
    """Kill the node once a task on it has begun, which then never ends otherwise."""
    while not any(doomed.node_id in mark.name for mark in marks.iterdir()):
        sleep(0.1)
    cluster.remove_node(doomed, allow_graceful=False)


def main(root: Path) -> None:
    store: UserStore = people(root, NAMES, seconds=12.0)
    marks = root / "tries"
    marks.mkdir()
    on_ray.imported()  # with its settings
    cluster, doomed = two_nodes()
    os.environ[on_ray.ADDRESS] = cluster.address
    (root / "doomed").write_text(doomed.node_id)
    killer = Thread(target=kill_at_work, args=(cluster, doomed, marks))
    killer.start()

    def run() -> dict[str, str]:
        report = personalize_all(
            store, order(), lambda jobs: on_ray.run(jobs, None, watched_work), name="ray"
        )
        return {user.user: user.state for user in report.users}

    first = run()
    killer.join()
    slots = {name: store.user(name).slots() for name in NAMES}
    tries = [mark.name.split()[:2] for mark in marks.iterdir()]
    second = run()
    deadly = [Job(user=name, store=root, order=order()) for name in (DOOMED, "well")]
    crashed = {job.user: outcome.what for job, outcome in on_ray.run(deadly, None, deadly_work)}
    cluster.shutdown()
    told = json.dumps(
        {
            "first": first,
            "second": second,
            "slots": slots,
            "slots_after": {name: store.user(name).slots() for name in NAMES},
            "in_use": [store.user(name).current() is not None for name in NAMES],
            "tries_on_doomed": sorted(user for user, node in tries if node == doomed.node_id),
            "tries": sorted(user for user, _ in tries),
            "crashed": crashed,
        }
    )
    sys.stdout.write(f"\n{told}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
