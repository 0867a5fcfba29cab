"""Recordings of simulated wearers for the verbs that take many: named now, performed when read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import simulate
from edge.session import Session
from personalize.recording import Recording
from simulate.recording import to_session
from simulate.wearer import Wearer


def simulated_recordings(wearer: int, difficulty: str, count: int, minutes: float) -> tuple[Recording, ...]:
    """`count` recordings of a wearer, each a donning. Raises BadInput for an unknown difficulty."""
    person, code = Wearer(wearer, difficulty), _simulator()

    def recording(number: int) -> Recording:
        def perform() -> Session:
            return to_session(person.perform(number, duration_s=60 * minutes))

        what = f"simulated {difficulty} wearer {wearer}, recording {number} of {minutes:g} min, code {code}"
        return Recording(f"sim-{wearer}-{number}", what, perform)

    return tuple(map(recording, range(count)))


def _simulator() -> str:
    """Identifies the simulator's code: another one makes other recordings."""
    digest = hashlib.sha256()
    for file in sorted(Path(str(simulate.__file__)).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
