"""Jobs on this machine: a few processes of one thread each, which do one job after another."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Final

from personalize.many.job import Failed, Job, Outcome, Outcomes, Work, performed, read_outcome
from personalize.many.work import work as the_work

_SPAWN: Final = multiprocessing.get_context("spawn")  # torch does not survive a fork
# Read by NumPy's and torch's libraries when they load. One thread a process is fastest (docs/performance.md).
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def run(jobs: Sequence[Job], workers: int, work: Work = the_work) -> Outcomes:
    """Do `jobs` in `workers` processes, outcomes as they come; whoever stops listening stops them all.

    A process that dies costs its own job and is replaced.
    """
    queue = iter(jobs)
    busy: dict[object, _Worker] = {}
    try:
        for job in islice(queue, workers):
            worker = _Worker(work, job)
            busy[worker.connection] = worker
        while busy:
            for ready in wait(worker.connection for worker in busy.values()):
                worker = busy.pop(ready)
                job, outcome = worker.job, worker.take()
                following = next(queue, None)
                if following is None:
                    worker.stop()
                else:
                    worker = worker.onward(following, anew=isinstance(outcome, Failed))
                    busy[worker.connection] = worker
                yield job, outcome
    finally:
        for worker in busy.values():
            worker.stop()


class _Worker:
    """A process at a job."""

    def __init__(self, work: Work, job: Job) -> None:
        self._work = work
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
        with _environment(_ONE_THREAD):
            self._process.start()
        theirs.close()
        self._begin(job)

    def onward(self, job: Job, *, anew: bool) -> _Worker:
        """Whoever does the next job: this process, or a fresh one where little is certain of it."""
        if anew:
            self.stop()
            return _Worker(self._work, job)
        self._begin(job)
        return self

    def _begin(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it died: `take` will say so
            self.connection.send_bytes(job.model_dump_json().encode())

    def take(self) -> Outcome:
        """What came of the job; that the process died, where it did."""
        try:
            return read_outcome(self.connection.recv_bytes())
        except (EOFError, OSError):
            self._process.join()
            return Failed(reason=f"its process died {_how(self._process.exitcode)}")

    def stop(self) -> None:
        """End it, whatever it is doing: nothing of the store is in its hands."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"of signal {-code}" + (", perhaps for lack of memory" if code == -signal.SIGKILL else "")
    return f"with exit code {code}"


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """These variables for the processes started in the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, work: Work) -> None:
    """The worker's process: jobs in, outcomes out, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever gives the jobs
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(performed(connection.recv_bytes(), work))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
