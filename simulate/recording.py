"""A performance as a recorded session, for training and tests that need no link."""

from __future__ import annotations

import numpy as np

from edge.samples import RATE_HZ
from edge.session import ENTER_MARK, ON_KEYBOARD, Session
from simulate.wearer import Performance

_DAY_S = 86_400.0
EPOCH_S = 1_700_000_000.0  # unix: simulated sessions lie a day apart from here


def to_session(performance: Performance, *, user: str | None = None, condition: str = ON_KEYBOARD) -> Session:
    """The session that recording `performance` would leave.

    user: the id to file it under, by default `sim-<number>`; condition: with any other than on_keyboard the
    keys are left out, as with someone who follows the prompts and presses nothing.
    """
    start_s = EPOCH_S + performance.session * _DAY_S
    keys = performance.keys if condition == ON_KEYBOARD else ()
    user = f"sim-{performance.user}" if user is None else user
    return Session(
        name=f"{user}-{performance.session}",
        user=user,
        condition=condition,
        sides=performance.sides,
        filtered=False,
        simulated=True,
        time_s=start_s + np.arange(len(performance.emg_uv)) / RATE_HZ,
        emg_uv=performance.emg_uv,
        valid=performance.valid,
        keys=tuple(
            key._replace(press_s=start_s + key.press_s, release_s=start_s + key.release_s) for key in keys
        ),
        prompts=tuple(
            prompt._replace(
                text=prompt.text + ENTER_MARK, start_s=start_s + prompt.start_s, end_s=start_s + prompt.end_s
            )
            for prompt in performance.prompts
        ),
    )
