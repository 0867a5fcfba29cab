"""`personalize --dry-run`: the whole chain on ten seconds of two recordings, before hours are spent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from edge.samples import RATE_HZ
from edge.session import Session, read_session, write_session
from edge.store import User, UserStore
from personalize.recipe import Recipe, override

EXCERPT_S: Final = 10.0
_TYPICAL_UV: Final = 20.0  # rms of a typing forearm: stands in where a file's unit is not stated
_LEAD_S: Final = 1.5  # before the first truth: what fills a network's memory (configs: warmup_s 0.9) and more
# Every stage runs once: two updates of small windows, chosen by one evaluation.
_BRIEF: Final = {"steps": 2, "evaluations": 1, "batch_windows": 2, "window_s": 2.0}


@contextmanager
def rehearsal_user(user: User) -> Iterator[User]:
    """A stand-in, gone afterwards, with excerpts of the first and last recording of `user`."""
    with TemporaryDirectory(prefix="qwrist-dry-run-") as root:
        stand_in = UserStore(Path(root)).create(user.id)
        first, *_, last = user.sessions()
        for path in (first, last, last):  # to train, to choose and to test
            short = excerpt(read_session(path))
            write_session(stand_in.session_path(stand_in.new_session_name()), _in_microvolts(short))
        current = user.current()
        if current is not None:
            with stand_in.new_slot() as folder:
                shutil.copytree(current, folder, dirs_exist_ok=True)
            stand_in.promote(stand_in.slots()[-1])
        yield stand_in


def briefly(recipe: Recipe) -> Recipe:
    """`recipe` cut to what shows that every stage runs."""
    return override(recipe, _BRIEF)


def excerpt(session: Session, seconds: float = EXCERPT_S) -> Session:
    """`seconds` of it from just before its first key or prompt on; longer where the first prompt is."""
    truths = chain((key.press_s for key in session.keys), (prompt.start_s for prompt in session.prompts))
    begin_s = min(truths, default=float(session.time_s[0])) - _LEAD_S
    first = int(np.searchsorted(session.time_s, begin_s))
    if not session.on_keyboard and session.prompts:
        seconds = max(seconds, session.prompts[0].end_s - begin_s + _LEAD_S)
    part = slice(first, first + round(seconds * RATE_HZ))
    time_s = session.time_s[part]
    return replace(
        session,
        time_s=time_s,
        emg_uv=session.emg_uv[part],
        valid=session.valid[part],
        keys=tuple(key for key in session.keys if time_s[0] <= key.press_s <= time_s[-1]),
        prompts=tuple(p for p in session.prompts if time_s[0] <= p.start_s and p.end_s <= time_s[-1]),
        segments=(),
        plan=None,
    )


def _in_microvolts(session: Session) -> Session:
    """As it is, or, where its unit is not stated, made as loud as a forearm is: it is only rehearsed with."""
    if session.calibrated:
        return session
    rms = float(np.sqrt(np.mean(session.emg_uv.astype(np.float64) ** 2)))
    scale = np.float32(_TYPICAL_UV / rms if rms > 0 else 1.0)
    return replace(session, emg_uv=session.emg_uv * scale, calibrated=True)
