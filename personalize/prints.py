"""The print of the donnings that a model was trained on: made of its recordings once, kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge.documents import read_json
from edge.errors import BadInput, NotEnoughData
from edge.files import write_atomically
from edge.roll import roll
from edge.samples import ELECTRODES, RATE_HZ
from edge.session import Session, read_session
from edge.store import User
from personalize.donning import Print, Prints, mean_prints, prints
from personalize.features import log_power
from personalize.report import PartRecord, read_report

FILE_NAME: Final = "print.json"
EXCERPT_S: Final = 60.0  # of each recording, from its middle: three times what a day's print is made of

_Row = Annotated[tuple[float, ...], Field(min_length=ELECTRODES, max_length=ELECTRODES)]


class _Band(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    together: Annotated[tuple[_Row, ...], Field(min_length=ELECTRODES, max_length=ELECTRODES)]
    level: _Row

    @classmethod
    def of(cls, one: Print) -> _Band:
        return cls.model_validate({"together": one.together.tolist(), "level": one.level.tolist()})


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    left: _Band | None
    right: _Band | None


def trained_on(user: User, folder: Path) -> Prints:
    """The mean print of the training recordings of the model in `folder`; print.json from the second time on.

    Recordings that were removed since are left out. Raises BadInput where none is left, BadSession.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        left, right = mean_prints(_each(user, folder))
        made = _Document(left=left and _Band.of(left), right=right and _Band.of(right))
        write_atomically(path, made.model_dump_json().encode())
    kept = read_json(_Document, path, "a print of donnings", "delete it, and it is made anew")
    return _print(kept.left), _print(kept.right)


def _print(band: _Band | None) -> Print | None:
    return None if band is None else Print(np.array(band.together), np.array(band.level))


def _each(user: User, folder: Path) -> Iterator[Prints]:
    found = 0
    for part in read_report(folder).parts:
        if part.role == "train" and user.session_path(part.session).is_file():
            session = read_session(user.session_path(part.session))
            try:
                yield prints(log_power(_middle(session, part)))
            except NotEnoughData:  # a band that was hardly heard tells nothing of how it sat
                continue
            found += 1
    if not found:
        raise BadInput(
            f"no recording that model {folder.name} was trained on is there to compare with; restore one, or "
            f"personalize anew: personalize --user {user.id}"
        )


def _middle(session: Session, part: PartRecord) -> Session:
    """`EXCERPT_S` from the middle of the part, or all of it, as the model was given it."""
    middle_s = part.start_s + 30 * part.minutes
    half_s = min(EXCERPT_S, 60 * part.minutes) / 2
    cut = slice(round((middle_s - half_s) * RATE_HZ), round((middle_s + half_s) * RATE_HZ))
    return replace(
        session,
        time_s=session.time_s[cut],
        emg_uv=roll(session.emg_uv[cut], part.turned),
        valid=session.valid[cut],
        keys=(),
        prompts=(),
        segments=(),
        plan=None,
    )
