"""A job: one user who is to be fitted, and what can come of it, as JSON for a worker on any machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from personalize.recipe import Recipe

_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # plain, so that none leads out of the model's folder


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class Order(_Record):
    """What is asked for every user alike."""

    recipe: Recipe
    seed: int = 0
    base_folder: Path | None = None  # of other bases than those that ship
    code: str  # code_hash() of whoever asks: a worker of another version would make other models
    dry_run: bool = False  # look at the recordings, train nothing


class Job(_Record):
    """One user of a store."""

    user: str
    store: Path  # absolute, and the same wherever the job is done
    order: Order


class Fitted(_Record):
    """A model was made; the store does not have it yet."""

    what: Literal["fitted"] = "fitted"
    key: str
    judged_against: int | None  # the model that was in use, which the gate compared it with
    files: dict[Annotated[str, Field(pattern=_FILE_NAME)], bytes]  # of its folder
    seconds: float
    cpu_s: float
    host: str


class UpToDate(_Record):
    """The store has the model that the job would make."""

    what: Literal["up to date"] = "up to date"
    model: int


class Ready(_Record):
    """What a dry run found: recordings that can be trained on."""

    what: Literal["ready"] = "ready"
    minutes: float  # of recordings to train on
    findings: tuple[str, ...]


class Refused(_Record):
    """The recordings, or what was asked, will not do; the reason says what will."""

    what: Literal["refused"] = "refused"
    reason: str


class Failed(_Record):
    """Something broke that is not the user's to mend."""

    what: Literal["failed"] = "failed"
    reason: str
    detail: str = ""  # the traceback, where there is one


Outcome = Annotated[Fitted | UpToDate | Ready | Refused | Failed, Field(discriminator="what")]
Work = Callable[[Job], Outcome]
Outcomes = Generator[tuple[Job, Outcome], None, None]
Engine = Callable[[Sequence[Job]], Outcomes]
"""Does jobs somewhere and gives each outcome as it comes; closing it ends what is still at work."""

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def performed(job: bytes, work: Work) -> bytes:
    """`work` from JSON to JSON: how every worker is asked and answers."""
    return _OUTCOME.dump_json(work(Job.model_validate_json(job)))


def read_outcome(answer: bytes) -> Outcome:
    """What `performed` answered."""
    return _OUTCOME.validate_json(answer)
