"""Small recordings with a clear code: each key wakes its own electrodes; no simulator needed."""

from __future__ import annotations

import numpy as np

from edge.charset import CHARSET
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, KeyPress, Prompt, Side
from edge.session import ON_KEYBOARD, PROMPTED, Session

ALPHABET = "asdf"
START_S = 1.7e9  # unix time of the first sample
PERIOD_S = 0.4  # from press to press


def toy_session(
    seed: int = 0,
    duration_s: float = 20.0,
    *,
    on_keyboard: bool = True,
    sides: tuple[Side, ...] = SIDES,
    filtered: bool = True,
    name: str | None = None,
) -> Session:
    """Regular typing of random letters; the electrodes of a letter swell for 80 ms around its press."""
    rng = np.random.default_rng(seed)
    samples = round(duration_s * RATE_HZ)
    time_s = START_S + np.arange(samples) / RATE_HZ
    gain = np.ones((samples, WRISTS, ELECTRODES), np.float32)
    keys = []
    for press_s in np.arange(0.5, duration_s - 0.5, PERIOD_S):
        letter = int(rng.integers(len(ALPHABET)))
        around = slice(round((press_s - 0.04) * RATE_HZ), round((press_s + 0.04) * RATE_HZ))
        gain[around, :, 4 * letter : 4 * letter + 4] = 30.0
        keys.append(KeyPress(ALPHABET[letter], START_S + float(press_s), START_S + float(press_s) + 0.1))
    emg = (rng.standard_normal(gain.shape) * gain).astype(np.float32)
    valid = np.zeros((samples, WRISTS), np.bool_)
    for wrist, side in enumerate(SIDES):
        valid[:, wrist] = side in sides
    emg[~valid] = 0
    return Session(
        name=name or f"toy-{seed}",
        user="toy",
        condition=ON_KEYBOARD if on_keyboard else PROMPTED,
        sides=sides,
        filtered=filtered,
        simulated=True,
        time_s=time_s,
        emg_uv=emg,
        valid=valid,
        keys=tuple(keys) if on_keyboard else (),
        prompts=_prompts(keys, 8),
    )


def toy_text(session: Session) -> str:
    """All that was typed, by its prompts."""
    return CHARSET.render(CHARSET.labels("".join(prompt.text for prompt in session.prompts)))


def _prompts(keys: list[KeyPress], length: int) -> tuple[Prompt, ...]:
    lines = [keys[i : i + length] for i in range(0, len(keys) - length + 1, length)]
    return tuple(
        Prompt("".join(k.key for k in line), line[0].press_s - 0.2, line[-1].press_s + 0.15) for line in lines
    )
