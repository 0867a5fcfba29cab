"""The roll of today's donning: by how many electrodes each band is turned against training.

`qwrist don` measures it and keeps it in the user's folder; `qwrist type` rolls the samples back by it before
anything else hears them. Recordings stay as they were worn. docs/formats/store.md has the file.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from edge.documents import read_json
from edge.errors import BadInput
from edge.files import write_atomically
from edge.samples import ELECTRODES, SIDES, SampleChunk, SampleSource, SourceInfo
from edge.store import User

Turns = tuple[int, int]
"""By wrist: today's electrode e sits where e + turn sat."""

STRAIGHT: Final[Turns] = (0, 0)
WORN_S: Final = 16 * 3600.0  # a waking day: who types after a night has put the bands on again

_HALF: Final = ELECTRODES // 2  # a ring cannot be turned further
_TEXT: Final = re.compile(r"(-?[0-9]{1,2}),(-?[0-9]{1,2})")

_Float = TypeVar("_Float", np.float16, np.float32)

_Turn = Annotated[int, Field(ge=-_HALF, le=_HALF)]


def parse_turns(text: str) -> Turns:
    """`LEFT,RIGHT` in electrodes, such as `1,0`. Raises BadInput."""
    match = _TEXT.fullmatch(text)
    turns = (int(match[1]), int(match[2])) if match else None
    if turns is None or max(map(abs, turns)) > _HALF:
        raise BadInput(
            f"--turned is {text!r}; expected electrodes of the left and the right band, from -{_HALF} to "
            f"{_HALF}, such as 1,0"
        )
    return turns


def roll(values: npt.NDArray[_Float], turned: Turns) -> npt.NDArray[_Float]:
    """Samples (T, W, E), or frames (T, W, E, F), with each band's electrodes where they were in training."""
    if turned == STRAIGHT:
        return values
    return np.stack([np.roll(values[:, wrist], turn, axis=1) for wrist, turn in enumerate(turned)], axis=1)


@dataclass(frozen=True)
class Rolled:
    """A SampleSource whose electrodes are where they were in training."""

    source: SampleSource
    turned: Turns

    @property
    def info(self) -> SourceInfo:
        """The source's."""
        return self.source.info

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """The source's, rolled."""
        async with aclosing(self.source.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk._replace(emg_uv=roll(chunk.emg_uv, self.turned))


class Roll(BaseModel):
    """donning.json: the roll, and what it holds for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    measured_s: float  # unix time
    turned: tuple[_Turn, _Turn]
    model: str  # the slot that it was measured against
    newest: str  # the newest recording then

    def stale(self, folder: Path, newest: str, now_s: float) -> str | None:
        """Why it does not hold for the model in `folder`; None where it does.

        newest: the newest recording there is. The bands were put on anew since another was made.
        """
        if folder.name != self.model:
            return f"it was measured against model {self.model} and {folder.name} is used"
        if newest != self.newest:
            return f"{newest} was recorded since, in a donning of its own"
        if not 0 <= now_s - self.measured_s <= WORN_S:
            return f"it was not measured in the last {WORN_S / 3600:.0f} hours"
        return None


def newest_recording(user: User) -> str:
    """The name of the newest recording; empty where there is none."""
    return max((path.stem for path in user.sessions()), default="")


def keep(user: User, measured: Roll) -> None:
    """Write donning.json, in place of the one before."""
    write_atomically(user.donning, measured.model_dump_json().encode())


def drop(user: User) -> None:
    """Remove donning.json: the bands sit otherwise now, and it is not known how."""
    user.donning.unlink(missing_ok=True)


def kept(user: User) -> Roll | None:
    """What the last `keep` wrote; None where there is nothing. Raises BadInput where it is damaged."""
    if not user.donning.is_file():
        return None
    return read_json(Roll, user.donning, "a roll", f"measure it again: qwrist don --user {user.id}")


def in_words(turned: Turns) -> str:
    """By band, with its sign."""
    return ", ".join(f"{side} {turn:+d}" for side, turn in zip(SIDES, turned, strict=True))
