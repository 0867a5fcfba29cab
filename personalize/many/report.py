"""What became of everyone: personalize-all.json, and what of it is worth a line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edge.files import write_atomically
from personalize.recipe import Recipe

FILE_NAME = "personalize-all.json"

State = Literal["fitted", "up to date", "ready", "refused", "failed", "unfinished"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UserRecord(_Record):
    """What became of one user."""

    user: str
    state: State = "unfinished"
    reason: str = ""  # of the gate's verdict, of a refusal, of a failure
    detail: str = ""  # the traceback of a failure
    model: int | None = None  # its slot
    promoted: bool | None = None  # put in use when it was made
    simulated: bool = False  # no figure of theirs is a person's
    training_minutes: float | None = None
    start_cer_percent: float | None = None  # on the test recording: of the network it started from,
    current_cer_percent: float | None = None  # of the model in use before,
    cer_percent: float | None = None  # and of the new one
    findings: tuple[str, ...] = ()
    seconds: float | None = None  # of this run, by a worker: None where it fitted nobody
    cpu_s: float | None = None
    host: str | None = None

    @property
    def wanting(self) -> bool:
        """Whether this user has to be looked after."""
        return self.state in ("refused", "failed", "unfinished")


class AllReport(_Record):
    """One run of `personalize --all`, finished or interrupted."""

    schema_version: Literal[1] = 1
    started: str  # ISO 8601, UTC
    seconds: float
    interrupted: bool
    engine: str
    recipe: Recipe
    seed: int
    code: str  # of qwrist: personalize.many.key
    users: tuple[UserRecord, ...]

    def count(self, state: State) -> int:
        """How many users are in `state`."""
        return sum(user.state == state for user in self.users)

    @property
    def wanting(self) -> bool:
        """Whether anybody has to be looked after."""
        return any(user.wanting for user in self.users)


def write_all_report(path: Path, report: AllReport) -> None:
    """Replace the report at `path`, whole or not at all."""
    write_atomically(path, (report.model_dump_json(indent=1) + "\n").encode())
