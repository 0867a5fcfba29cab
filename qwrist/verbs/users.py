"""`qwrist users`, `forget`, `rollback`: who is in the store, and what of theirs."""

from __future__ import annotations

from typing import Annotated

import typer

from edge.errors import BadInput
from edge.store import User, UserStore
from edge.trust import TrustStore
from qwrist import ui

UserId = Annotated[str, typer.Option("--user", help="The user's id: a-z, 0-9, - and _, at most 32.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def users(as_json: AsJson = False) -> None:
    """List the users, their recordings and models."""
    store = UserStore.default()
    found = [store.user(name) for name in store.users()]
    rows = [_row(user) for user in found]
    if as_json:
        keys = ("user", "sessions", "unsealed", "models", "current")
        ui.emit_json([dict(zip(keys, row, strict=True)) for row in rows])
    elif rows:
        ui.table(
            f"Users in {store.root}", ["user", "sessions", "not sealed", "models", "current model"], rows
        )
        for unsealed in filter(None, (user.unsealed() for user in found)):
            ui.note(unsealed)
    else:
        ui.note(f"no users in {store.root} yet; begin with: qwrist enroll --user ID")


def _row(user: User) -> tuple[str, int, int, int, str]:
    current = user.current()
    return (
        user.id,
        len(user.sessions()),
        len(user.journals()),
        len(user.slots()),
        current.name if current else "-",
    )


def forget(
    user: UserId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a user: recordings, keys typed, prompts, models. It cannot be undone."""
    store = UserStore.default()
    found = store.user(user)
    question = f"remove {len(found.sessions())} recordings and {len(found.slots())} models of {user}?"
    if not yes and not typer.confirm(question, err=True):
        raise BadInput("nothing was removed; say yes, or add --yes")
    gone = store.forget(user)
    TrustStore.default().forget_user(user)
    ui.note(f"removed {gone.files} files of {user}, {gone.bytes / 1e6:.1f} MB. Out of reach:")
    for place in gone.beyond_reach:
        ui.note(f"  {place}")


def rollback(user: UserId) -> None:
    """Go back to the model that was in use before the current one."""
    folder = UserStore.default().user(user).rollback()
    ui.note(f"{user} now types with model {folder.name} ({folder})")
