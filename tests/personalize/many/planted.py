"""Workers that do what a test asks of them; light, for they are imported by every process that is started."""

from __future__ import annotations

import os

from personalize.many.job import Job, Outcome, Refused, UpToDate

DOOMED = "doomed"


def deadly_work(job: Job) -> Outcome:
    """Takes its process with it where the user is doomed; else it says which process it is."""
    if job.user.startswith(DOOMED):
        os._exit(7)
    return UpToDate(model=os.getpid())


def telling_work(_: Job) -> Outcome:
    """Says how many threads it was given."""
    return Refused(reason=os.environ["OMP_NUM_THREADS"])
