"""What a worker does: it reads one user's recordings in the store, and brings back what it made of them."""

from __future__ import annotations

import platform
import shutil
import time
import traceback
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.errors import BadInput, QwristError
from edge.store import User, UserStore
from personalize.many.job import Failed, Fitted, Job, Order, Outcome, Ready, Refused, UpToDate
from personalize.many.keeping import find, in_use
from personalize.many.key import code_hash, job_key


def work(job: Job) -> Outcome:
    """Do `job` and write nothing to the store. What goes wrong is an outcome, never an exception."""
    try:
        return _attempt(job)
    except QwristError as error:
        return Refused(reason=str(error))
    except Exception as error:  # noqa: BLE001  (one user's fault must not stop the others; it is reported)
        return Failed(reason=f"{type(error).__name__}: {error}", detail=traceback.format_exc())


def _attempt(job: Job) -> Outcome:
    _check_place(job)
    user = UserStore(job.store).user(job.user)
    key = job_key(user, job.order)
    made = find(user, key)
    if made is not None:
        return UpToDate(model=made)
    with TemporaryDirectory(prefix="qwrist-all-") as folder:
        reader = replace(user, elsewhere=Path(folder))
        return _looked_at(reader) if job.order.dry_run else _fitted(user, reader, job.order, key)


def _check_place(job: Job) -> None:
    if not job.store.is_dir():
        raise BadInput(f"{platform.node()} has no {job.store}; mount the store there, under the same path")
    if code_hash() != job.order.code:
        raise BadInput(
            f"qwrist on {platform.node()} is not the version that asked for this, and would make another "
            "model; install the same there"
        )


def _looked_at(user: User) -> Ready:
    from personalize.checks import refuse
    from personalize.gathering import gather

    recordings = gather(user)
    refuse(recordings.findings)
    minutes = sum(part.minutes for part in recordings.parts if part.role == "train")
    findings = tuple(f"{found.session}: {found.text}" for found in recordings.findings)
    return Ready(minutes=round(minutes, 2), findings=findings)


def _fitted(user: User, reader: User, order: Order, key: str) -> Fitted:
    """Fit `reader`, who has the recordings of `user` and writes elsewhere."""
    from personalize.fit import personalize_user

    judged_against = in_use(user)
    if judged_against is not None:
        with reader.new_slot() as copy:
            shutil.copytree(user.slot(judged_against), copy, dirs_exist_ok=True)
        reader.promote(reader.slots()[-1])
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    done = personalize_user(reader, order.recipe, base_folder=order.base_folder, seed=order.seed)
    return Fitted(
        key=key,
        judged_against=judged_against,
        files={path.name: path.read_bytes() for path in sorted(done.folder.iterdir())},
        seconds=round(time.monotonic() - started_s, 2),
        cpu_s=round(time.process_time() - started_cpu_s, 2),
        host=platform.node(),
    )
