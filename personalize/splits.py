"""Which recordings train, which choose the epoch, and which one nothing but the report may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from edge.errors import NotEnoughData
from edge.features import FRAME_RATE_HZ
from personalize.features import FramedSession

Role = Literal["train", "validation", "test"]

MIN_SESSIONS = 2  # one to learn from, one that nothing has seen
MIN_TRAINING_S = 60.0  # below a minute most keys were never pressed
VALIDATION_SHARE = 0.2  # of each session, at its end, where there is no session to spare for it


class Part(NamedTuple):
    """A stretch of frames of one recording, and what it is for."""

    name: str
    start: int
    stop: int
    role: Role

    @property
    def minutes(self) -> float:
        """How long it is."""
        return (self.stop - self.start) / FRAME_RATE_HZ / 60

    def of(self, session: FramedSession) -> FramedSession:
        """Cut it out of its recording."""
        return session.between(self.start, self.stop)


def split(names: Sequence[str], frames: Sequence[int], least_s: float | None = None) -> list[Part]:
    """Roles for recordings of `frames` each, oldest first; the last is the test, and whole.

    least_s: to train on, by default `MIN_TRAINING_S`. Raises NotEnoughData with what there is and what is
    needed.
    """
    if len(names) < MIN_SESSIONS:
        raise NotEnoughData(
            f"there {'is 1 session' if names else 'are no sessions'} of {sum(frames) / FRAME_RATE_HZ:.0f} s; "
            f"at least {MIN_SESSIONS} are needed, the last of which only tests; record more: qwrist enroll"
        )
    parts = []
    spare = len(names) > MIN_SESSIONS
    for index, (name, count) in enumerate(zip(names, frames, strict=True)):
        if index == len(names) - 1:
            parts.append(Part(name, 0, count, "test"))
        elif spare:
            role: Role = "validation" if index == len(names) - 2 else "train"
            parts.append(Part(name, 0, count, role))
        else:
            cut = round(count * (1 - VALIDATION_SHARE))
            parts += [Part(name, 0, cut, "train"), Part(name, cut, count, "validation")]
    _check_length(parts, MIN_TRAINING_S if least_s is None else least_s)
    return parts


def _check_length(parts: Sequence[Part], least_s: float) -> None:
    found_s = 60 * sum(part.minutes for part in parts if part.role == "train")
    if found_s < least_s:
        raise NotEnoughData(
            f"{found_s:.0f} s are left to train on once some is kept to choose the best epoch and "
            f"some to test; at least {least_s:.0f} s are needed; record more: qwrist enroll"
        )
