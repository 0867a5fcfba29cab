"""Jobs on a cluster of Ray: a task a user, of one core, done again elsewhere when its machine is lost.

Every machine needs the same qwrist and the store under the same path, to read; only this process writes it.
A task is a few hundred bytes, its result a model of some megabytes. `RAY_ADDRESS` names the cluster; without
it one is started here, on the loopback interface alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from edge.extras import require
from personalize.many.job import Failed, Job, Outcome, Outcomes, Work, performed, read_outcome
from personalize.many.work import work as the_work

ADDRESS: Final = "RAY_ADDRESS"  # Ray's own name for it
RETRIES: Final = 3  # of a task whose machine or process was lost: the third loss is likely its own doing
IN_FLIGHT: Final = 1000  # tasks that Ray knows of: more than there are cores, few enough to look through
# Read by Ray when it is imported: nothing is reported to its makers, and what outgrows memory ends at last.
_SETTINGS: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": str(RETRIES)}
# The one way to keep all its servers to the loopback interface: it replaces a 127.0.0.1 that it is told.
_LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def run(jobs: Sequence[Job], workers: int | None, work: Work = the_work) -> Outcomes:
    """Do `jobs`, at most `workers` at once (default: what the cluster holds), outcomes as they come.

    Whoever stops listening stops them all. Raises MissingExtra.
    """
    ray = imported()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, workers)
    in_flight: dict[Any, Job] = {}
    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(performed)
        queue = iter(jobs)
        for job in islice(queue, workers or IN_FLIGHT):
            in_flight[task.remote(_asked(job), work)] = job
        while in_flight:
            (finished, *_), _ = ray.wait(list(in_flight), num_returns=1)
            job = in_flight.pop(finished)
            for following in islice(queue, 1):
                in_flight[task.remote(_asked(following), work)] = following
            yield job, _outcome(ray, finished)
    finally:
        for unfinished in in_flight:
            ray.cancel(unfinished, force=True)
        if ours:
            ray.shutdown()


def imported() -> Any:  # noqa: ANN401  (a module that is there or is not)
    """Ray, with the settings that it reads but once. Raises MissingExtra."""
    settings = _SETTINGS if os.environ.get(ADDRESS) else _SETTINGS | _LOOPBACK
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return require("ray", "ray")


def _connect(ray: Any, workers: int | None) -> None:  # noqa: ANN401
    if os.environ.get(ADDRESS):
        ray.init(log_to_driver=False, logging_level="ERROR")
    else:
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )


def _asked(job: Job) -> bytes:
    return job.model_dump_json().encode()


def _outcome(ray: Any, finished: Any) -> Outcome:  # noqa: ANN401
    try:
        return read_outcome(ray.get(finished))
    except ray.exceptions.RayError as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return Failed(reason=f"Ray lost it {RETRIES + 1} times: {first}", detail=str(error))
