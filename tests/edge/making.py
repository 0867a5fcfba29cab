"""Recordings to test with, and where the real ones are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.recording import Heading, Recorder
from edge.samples import ELECTRODES, RATE_HZ, SIDES, WRISTS, KeyPress, Prompt, SampleChunk
from edge.session import ENTER_MARK, ON_KEYBOARD, Session

START_S = 1_700_000_000.0  # unix


def shared_data(name: str) -> Path:
    """A file of real data, which lies beside the repository; the test is skipped where it does not."""
    path = Path(__file__).resolve().parents[2].parent / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"the real data file {name} is not beside the repository")
    return path


def typed(text: str, start_s: float = START_S + 0.5, period_s: float = 0.2) -> tuple[KeyPress, ...]:
    """One press a character, each held for 0.1 s."""
    return tuple(
        KeyPress(CHARSET.keys[CHARSET.index(c)], start_s + i * period_s, start_s + i * period_s + 0.1)
        for i, c in enumerate(text)
    )


def make_session(samples: int = 2 * RATE_HZ, seed: int = 0, **changes: Any) -> Session:
    """Noise on a perfect clock, `hello` and Enter; `changes` replace fields."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "name": "session-0001",
        "user": "ada",
        "condition": ON_KEYBOARD,
        "sides": SIDES,
        "filtered": False,
        "simulated": True,
        "time_s": START_S + np.arange(samples) / RATE_HZ,
        "emg_uv": rng.normal(0, 20, (samples, WRISTS, ELECTRODES)).astype(np.float32),
        "valid": np.ones((samples, WRISTS), np.bool_),
        "keys": typed("hello\n"),
        "prompts": (Prompt("hello" + ENTER_MARK, START_S + 0.2, START_S + 1.6),),
    }
    return Session(**(fields | changes))


def same(one: Session, other: Session) -> bool:
    """Whether two sessions hold the same, to the bit."""
    arrays = ("time_s", "emg_uv", "valid")
    heading = ("name", "user", "condition", "sides", "filtered", "simulated", "calibrated", "source", "plan")
    rest = (*heading, "keys", "prompts", "segments")
    return all(np.array_equal(getattr(one, a), getattr(other, a)) for a in arrays) and all(
        getattr(one, a) == getattr(other, a) for a in rest
    )


def cut(length: int, at: list[int]) -> list[slice]:
    """The parts of range(length) between the cuts `at`; empty ones too."""
    edges = [0, *sorted(min(i, length) for i in at), length]
    return [slice(a, b) for a, b in pairwise(edges)]


def chunks_of(session: Session, at: list[int], first_index: int = 0) -> list[SampleChunk]:
    """The samples of a session as a source would deliver them."""
    return [
        SampleChunk(
            first_index + part.start,
            session.time_s[part],
            session.emg_uv[part],
            session.valid[part],
            tuple(
                start._replace(first_index=first_index + start.first_index)
                for start in session.segments
                if part.start <= start.first_index < part.stop
            ),
        )
        for part in cut(len(session.time_s), at)
    ]


def ramp(index: int, samples: int = 20) -> SampleChunk:
    """Samples that say which they are."""
    numbers = np.arange(index * samples, (index + 1) * samples)
    emg = np.broadcast_to(numbers[:, None, None], (samples, 2, 16)).astype(np.float32)
    return SampleChunk(int(numbers[0]), START_S + numbers / 2000, emg, np.ones((samples, 2), np.bool_))


def heading_of(session: Session) -> Heading:
    """What a recording of `session` says of itself."""
    return Heading(
        name=session.name,
        user=session.user,
        condition=session.condition,
        sides=session.sides,
        filtered=session.filtered,
        simulated=session.simulated,
    )


def record(path: Path, session: Session, at: list[int], first_index: int = 0) -> Recorder:
    """A recorder at `path` that took `session` in chunks cut at `at`."""
    recorder = Recorder(path, heading_of(session))
    for key in session.keys:
        recorder.add_key(key)
    for chunk in chunks_of(session, at, first_index):
        recorder.add(chunk)
    for prompt in session.prompts:
        recorder.add_prompt(prompt)
    return recorder
