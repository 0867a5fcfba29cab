"""What a finished job leaves in the store: one new model, the key it was made by, and the model in use.

Only whoever gives the jobs writes, once a job, however often workers tried. A kill between two steps is made
good when the job is met again: `settle`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from edge.documents import read_json
from edge.errors import BadInput
from edge.files import write_atomically
from edge.store import User
from personalize.many.job import Fitted
from personalize.report import FitReport, read_report

FILE_NAME: Final = "job.json"


class JobRecord(BaseModel):
    """job.json of a model: which job made it, and whether the store has drawn the consequences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    key: str
    judged_against: int | None  # the model in use that the gate compared it with
    settled: bool  # it was put in use if its report says so; what the user does afterwards is theirs


def find(user: User, key: str) -> int | None:
    """The model that the job with `key` made, None without. Raises BadInput for a damaged record."""
    for number in reversed(user.slots()):
        folder = user.slot(number)
        if (folder / FILE_NAME).is_file() and _read(folder).key == key:
            return number
    return None


def keep(user: User, fitted: Fitted) -> int:
    """Give the model a slot and draw its consequences; the slot's number.

    Raises BadInput where another model than the one that it was judged against is in use by now.
    """
    if in_use(user) != fitted.judged_against:
        raise BadInput(
            f"another model of {user.id} came into use while this one was made, and nobody knows which is "
            "better; run the same command again"
        )
    with user.new_slot() as folder:
        for name, content in fitted.files.items():
            write_atomically(folder / name, content)
        _write(folder, JobRecord(key=fitted.key, judged_against=fitted.judged_against, settled=False))
    number = find(user, fitted.key)
    assert number is not None  # the block above made it
    settle(user, number)
    return number


def settle(user: User, number: int) -> FitReport:
    """Put the model in use if its report says so and that was not done; once, for users may roll back."""
    folder = user.slot(number)
    record, report = _read(folder), read_report(folder)
    if not record.settled:
        if report.promoted and in_use(user) == record.judged_against:
            user.promote(number)
        _write(folder, record.model_copy(update={"settled": True}))
    return report


def in_use(user: User) -> int | None:
    """The number of the model in use."""
    folder = user.current()
    return None if folder is None else int(folder.name)


def _read(folder: Path) -> JobRecord:
    return read_json(JobRecord, folder / FILE_NAME, "a record of personalize --all", f"remove {folder}")


def _write(folder: Path, record: JobRecord) -> None:
    write_atomically(folder / FILE_NAME, record.model_dump_json().encode())
