"""How electrodes are rolled before anything hears them, as the command line says it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from edge.roll import STRAIGHT, Turns, in_words, kept, newest_recording, parse_turns
from edge.store import User
from qwrist import ui

TurnedOption = Annotated[
    str | None,
    typer.Option(
        "--turned",
        metavar="LEFT,RIGHT",
        help="By how many electrodes the bands are turned; 0,0 takes them as they are.",
    ),
]


def asked(turned: str | None) -> Turns:
    """What `--turned` says, by default nothing to roll. Raises BadInput."""
    return STRAIGHT if turned is None else parse_turns(turned)


def asked_or_kept(user: User, folder: Path, turned: str | None) -> Turns:
    """What `--turned` says, or what `qwrist don` found for the model in `folder`. Says which, and why."""
    if turned is not None:
        return parse_turns(turned)
    last, now_s = kept(user), time.time()
    if last is None:
        return STRAIGHT
    stale = last.stale(folder, newest_recording(user), now_s)
    if stale is not None:
        ui.note(f"what `qwrist don` found last is not used: {stale}; run it again")
        return STRAIGHT
    ago = timedelta(seconds=round(now_s - last.measured_s))
    ui.note(f"electrodes rolled by {in_words(last.turned)}, as `qwrist don` found them {ago} ago")
    return last.turned
