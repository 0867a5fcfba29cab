"""`qwrist recover`: seal recordings that were cut short, and say what was kept and what was lost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from edge.errors import BadInput, BadSession, NotEnoughData
from edge.samples import RATE_HZ
from edge.sealing import Recovered, check_journal
from edge.sealing import recover as seal
from edge.store import UserStore
from qwrist import ui
from qwrist.verbs.users import AsJson

FAILED = 1


class _Outcome(NamedTuple):
    journal: Path
    user: str | None
    recovered: Recovered | None  # None where there was nothing to seal, or it could not be
    reason: str  # in words
    failed: bool


def recover(
    journals: Annotated[list[Path] | None, typer.Argument(help="Journals; else all in the store.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Those of this user alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Seal interrupted recordings; say what was kept and lost. Exit code 1 if one could not be sealed."""
    if journals and user is not None:
        raise BadInput("name journals or a --user, one of the two")
    for journal in journals or []:
        check_journal(journal)  # each, before any is sealed
    found = [(None, path) for path in journals] if journals else _of_users(user)
    outcomes = [_outcome(journal, of) for of, journal in found]
    if as_json:
        ui.emit_json([_as_json(outcome) for outcome in outcomes])
    elif not outcomes:
        ui.note("there is nothing to recover: no recording was cut short")
    else:
        for outcome in outcomes:
            ui.say(f"{outcome.user + ': ' if outcome.user else ''}{outcome.reason}")
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(FAILED)


def in_words(recovered: Recovered) -> str:
    """What became of a journal, as one sentence."""
    if recovered.samples == 0:
        return f"{recovered.path} is sealed already"
    kept = f"{recovered.samples / RATE_HZ:.1f} s of an interrupted recording are sealed in {recovered.path}"
    if recovered.kept_aside is None:
        return f"{kept}; nothing was lost"
    frames, lost_bytes = recovered.damage.frames, recovered.damage.bytes
    return (
        f"{kept}; {lost_bytes} bytes are damaged or cut short: "
        f"{recovered.missing} samples that they held are declared missing, "
        f"{frames} entries of samples, keys or prompts are gone, besides the last ones; "
        f"the journal is kept as {recovered.kept_aside}, delete it if you do not need it"
    )


def _of_users(user: str | None) -> list[tuple[str | None, Path]]:
    store = UserStore.default()
    users = store.users() if user is None else [user]
    return [(name, journal) for name in users for journal in store.user(name).journals()]


def _outcome(journal: Path, user: str | None) -> _Outcome:
    try:
        recovered = seal(journal)
    except NotEnoughData as nothing:
        return _Outcome(journal, user, None, str(nothing), failed=False)
    except BadSession as refusal:
        return _Outcome(journal, user, None, str(refusal), failed=True)
    return _Outcome(journal, user, recovered, in_words(recovered), failed=False)


def _as_json(outcome: _Outcome) -> dict[str, object]:
    result: dict[str, object] = {
        "journal": str(outcome.journal),
        "user": outcome.user,
        "session": None,
        "failed": outcome.failed,
        "reason": outcome.reason,
    }
    if (recovered := outcome.recovered) is not None:
        result |= {
            "session": str(recovered.path),
            "recovered_s": recovered.samples / RATE_HZ,
            "damaged_bytes": recovered.damage.bytes,
            "lost_entries": recovered.damage.frames,
            "missing_samples": recovered.missing,
            "kept_aside": str(recovered.kept_aside) if recovered.kept_aside else None,
        }
    return result
