"""All recordings of a person, checked, framed and each with its role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import NotEnoughData
from edge.normalize import Prior
from edge.samples import Side
from edge.session import Session, read_session
from edge.store import User
from personalize.cache import FrameCache
from personalize.checks import Finding, check_session, check_users
from personalize.features import FramedSession
from personalize.splits import Part, Role, split

_PURPOSES = {"train": "train on", "validation": "choose the best epoch", "test": "test"}


@dataclass(frozen=True)
class Recordings:
    """A person's recordings, each with its role; log power."""

    sessions: tuple[FramedSession, ...]
    parts: tuple[Part, ...]
    test: Session
    sides: frozenset[Side]
    simulated: bool
    findings: tuple[Finding, ...] = ()

    def cut(self, role: Role, sessions: Sequence[FramedSession] | None = None) -> list[FramedSession]:
        """The parts with `role`, from these sessions or from `sessions` made of them."""
        by_name = {session.name: session for session in sessions or self.sessions}
        return [part.of(by_name[part.name]) for part in self.parts if part.role == role]

    def minutes(self, role: Role) -> float:
        """How many of them have `role`."""
        return sum(part.minutes for part in self.parts if part.role == role)

    def prepared(self, prior: Prior | None) -> list[FramedSession]:
        """All but the test recording as a network's input. Normalised whole, as they were recorded."""
        return [session.prepared(prior) for session in self.sessions[:-1]]


def gather(user: User, least_s: float | None = None) -> Recordings:
    """Read all recordings of `user`, check them and give each its role.

    least_s: of recordings to train on, for those who only try (default: splits'). Raises NotEnoughData,
    BadSession.
    """
    framed: list[FramedSession] = []
    findings: list[Finding] = []
    owners: list[tuple[str, str]] = []
    sides: set[Side] = set()
    simulated = False
    session = None
    cache = FrameCache(user.scratch("frames"))
    for path in user.sessions():
        session = read_session(path)
        framed.append(cache.framed(session, name=path.stem))
        findings += check_session(session, framed[-1])
        owners.append((path.stem, session.user))
        sides |= set(session.sides)
        simulated |= session.simulated
    try:
        parts = split([s.name for s in framed], [len(s.values) for s in framed], least_s)
    except NotEnoughData as few:
        unsealed = user.unsealed()
        raise NotEnoughData(f"{few}; {unsealed}") if unsealed else few from None
    assert session is not None  # split refuses an empty list
    findings += check_users(owners)
    recordings = Recordings(
        tuple(framed), tuple(parts), session, frozenset(sides), simulated, tuple(findings)
    )
    _check_labels(recordings)
    return recordings


def _check_labels(recordings: Recordings) -> None:
    for role in ("train", "validation", "test"):
        if not any(part.labels.count for part in recordings.cut(role)):
            names = ", ".join(part.name for part in recordings.parts if part.role == role)
            raise NotEnoughData(
                f"the recordings kept to {_PURPOSES[role]} ({names}) hold no key and no prompt; record more: "
                "qwrist enroll"
            )
