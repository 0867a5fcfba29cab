"""An enrolment that was broken off, and what it takes to go on with it as the same session.

A session stands for one donning: normalisation and the choice of what trains and what tests rely on it. So an
enrolment goes on only with the same bands, in the same way, and not long after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import BadInput
from edge.recording_frames import Continued, Heading
from edge.samples import RATE_HZ
from edge.session import ENTER_MARK, Session, read_session
from edge.session_layout import Plan

# Long enough to change a battery or restart a computer; after longer nobody knows whether the bands have been
# moved, and a moved electrode is another signal. The samples between cost 138 bytes each where they are read.
LONGEST_AWAY_S: Final = 15 * 60
SHORTEST_S: Final = 1.0  # what is left to record must be worth a connection

_COMPARED: Final = {
    "source": "bands",
    "rate_hz": "rate in Hz",
    "sides": "sides",
    "condition": "condition",
    "filtered": "filtered",
    "simulated": "simulated",
}


class Unfinished(NamedTuple):
    """A session that has less in it than was wanted."""

    path: Path
    heading: Heading  # of the recording that is to continue it
    plan: Plan
    performed: frozenset[str]  # prompts, without the mark of Enter
    recorded_s: float

    @property
    def left_s(self) -> float:
        """How much is still to be recorded."""
        return self.plan.wanted_s - self.recorded_s


def unfinished(path: Path, wanted_s: float | None, now_s: float) -> Unfinished:
    """What is left of the enrolment that recorded `path`; wanted_s: in all, None for what was wanted then.

    Raises BadInput where nothing is, where it was no enrolment, and where it ended too long before `now_s`
    (unix seconds).
    """
    session = read_session(path)
    plan = session.plan
    if plan is None:
        raise BadInput(f"{path} was not recorded by an enrolment, so that nothing says how it goes on")
    wanted_s = wanted_s or plan.wanted_s
    plan = plan.model_copy(update={"wanted_s": wanted_s})
    away_s = now_s - float(session.time_s[-1])
    if wanted_s - session.recorded_s < SHORTEST_S:
        raise BadInput(
            f"{path} is complete: {session.recorded_s:.0f} of {wanted_s:.0f} s; record "
            "another session without --resume, or go on in this one with more --minutes"
        )
    if away_s > LONGEST_AWAY_S:
        raise BadInput(
            f"{path} ended {away_s / 60:.0f} minutes ago, and a session is gone on with for "
            f"{LONGEST_AWAY_S / 60:.0f}: the bands may have been moved since; record another without --resume"
        )
    return Unfinished(
        path,
        _heading(session, plan),
        plan,
        frozenset(prompt.text.removesuffix(ENTER_MARK) for prompt in session.prompts),
        session.recorded_s,
    )


def check_same(before: Heading, now: Heading) -> None:
    """Raise BadInput, showing what differs, unless both are recordings of the same bands in the same way."""
    differences = [
        f"{label}: {_shown(getattr(before, name))} then, {_shown(getattr(now, name))} now"
        for name, label in _COMPARED.items()
        if getattr(before, name) != getattr(now, name)
    ]
    if differences:
        raise BadInput(
            f"{before.name} cannot be gone on with ({'; '.join(differences)}); use what was used then, "
            "or record another session without --resume"
        )


def _heading(session: Session, plan: Plan) -> Heading:
    return Heading(
        name=session.name,
        user=session.user,
        condition=session.condition,
        sides=session.sides,
        filtered=session.filtered,
        simulated=session.simulated,
        rate_hz=RATE_HZ,
        source=session.source,
        plan=plan,
        continues=Continued(samples=len(session.time_s), last_s=float(session.time_s[-1])),
    )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
