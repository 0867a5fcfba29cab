"""What is found in recordings before hours are spent on them: dead electrodes, swapped bands, wrong clocks.

What makes training pointless stops it, each with what to do; the rest is said and trained with. Whether there
is enough to train on is asked by `personalize.splits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge import quality
from edge.charset import CHARSET
from edge.errors import BadSession
from edge.features import FRAME_RATE_HZ
from edge.quality import Severity
from edge.samples import SIDES, Float64
from edge.session import Session
from personalize.features import FramedSession

# The halves of a US keyboard as touch typists learn them; thumbs and shifts are either hand's.
_LEFT: Final = frozenset("12345!@#$%qwertasdfgzxcvbQWERTASDFGZXCVB`~")
_RIGHT: Final = frozenset("67890^&*()yuiophjklnmYUIOPHJKLNM-_=+[{]}\\|;:'\",<.>/?")

_DRIFT_FRAMES: Final = 2 * int(FRAME_RATE_HZ) + 1  # slower than two seconds is posture and contact, not keys
_CLIP: Final = 3.0  # standard deviations: one artefact must not outweigh all keys
LAG_S: Final = 30.0  # how far apart keys and muscles are looked for
# The correlation at the best lag over the highest one a second or more away from it. Simulated wearers 61-68,
# medium and hard: 2.3 to 4.8 in one minute, 1.7 to 4.1 in half of one; noise has many lags nearly as good.
CLEAR: Final = 1.5
_APART_S: Final = 1.0  # the peak itself is as wide as a key's activity, some tenths
FEWEST_KEYS: Final = 20  # of each hand: fewer match by chance
# Muscles lead a press by 50-100 ms; a host's clock and a link's delay add some tens.
CLOCK_S: Final = 0.25
_INSIDE: Final = 0.5  # of the keys; fewer inside the recording are another recording's, or another clock's


class Match(NamedTuple):
    """Where the difference between the two hands follows the keys most closely."""

    lag_s: float  # of the muscles behind the keys
    clarity: float  # how far it stands out; negative where the bands follow the other hand's keys


@dataclass(frozen=True)
class Finding:
    """What is wrong with a recording, and what to do; FAIL stops training."""

    session: str
    check: str
    severity: Severity
    text: str


def refuse(findings: Sequence[Finding]) -> None:
    """Raise BadSession where a finding makes training pointless; all such findings are named."""
    fatal = [f"{found.session}: {found.text}" for found in findings if found.severity == Severity.FAIL]
    if fatal:
        raise BadSession("; ".join(fatal))


def check_session(session: Session, framed: FramedSession) -> list[Finding]:
    """What is found in one recording: its electrodes, its keys against its prompts, its clock, its bands."""
    return [*_signal(session, framed.name), *_clock(session, framed)]


def check_users(users: Sequence[tuple[str, str]]) -> list[Finding]:
    """(recording, user named in it): one person's decoder is made of one person's recordings."""
    first = users[0][1] if users else ""
    return [
        Finding(
            name,
            "user",
            Severity.FAIL,
            f"it is of user {user!r} and {users[0][0]} is of {first!r}; a decoder is fitted to one person: "
            "move the other's recordings to a user of their own",
        )
        for name, user in users
        if user != first
    ]


def _signal(session: Session, name: str) -> list[Finding]:
    """Of the recording's own verdicts those that training suffers from."""
    relevant = ("flat", "electrodes", "truth")
    findings = []
    for verdict in quality.check(session):
        if verdict.check in relevant and verdict.severity != Severity.OK:
            where = f"{verdict.side} band: " if verdict.side else ""
            if verdict.electrode is not None:
                where = f"electrode {verdict.electrode} of the {verdict.side} band: "
            text = f"{where}{verdict.figure}; {verdict.meaning}; {verdict.advice}"
            findings.append(Finding(name, verdict.check, verdict.severity, text))
    return findings


def _clock(session: Session, framed: FramedSession) -> list[Finding]:
    if not session.on_keyboard or not session.keys:
        return []
    inside = framed.labels.count / max(1, sum(press.key in CHARSET for press in session.keys))
    if inside < _INSIDE:
        text = (
            f"only {100 * inside:.0f} % of its keys were pressed while its samples were taken; keys and "
            "samples are on different clocks, or of different recordings: record again"
        )
        return [Finding(framed.name, "clock", Severity.FAIL, text)]
    match = hands_match(framed)
    if abs(match.clarity) < CLEAR:
        return []  # too few keys of both hands, or too noisy, to tell
    findings = []
    if abs(match.lag_s) > CLOCK_S:
        text = (
            f"the muscles move {abs(match.lag_s):.2f} s {'after' if match.lag_s > 0 else 'before'} the keys "
            f"(at most {CLOCK_S:g} s is natural); keys and samples are on different clocks: record again"
        )
        findings.append(Finding(framed.name, "clock", Severity.FAIL, text))
    if match.clarity < 0:
        text = (
            "the left band follows the keys of the right hand and the right band those of the left; the "
            "bands are swapped: put each on its own wrist and record again"
        )
        findings.append(Finding(framed.name, "bands", Severity.FAIL, text))
    return findings


def hands_match(session: FramedSession) -> Match:
    """Correlate left minus right muscle activity with left minus right keys, over lags of `LAG_S`.

    One worn band is compared with rest. Needs key times and log power (not network input). Clarity is 0 where
    there are too few keys of either hand.
    """
    keys = _signed_keys(session)
    if min((keys > 0).sum(), (keys < 0).sum()) < FEWEST_KEYS:
        return Match(0.0, 0.0)
    activity = _contrast(session)
    reach = min(round(LAG_S * FRAME_RATE_HZ), len(keys) - 1)
    norm = float(np.linalg.norm(activity) * np.linalg.norm(keys))
    if norm == 0:
        return Match(0.0, 0.0)
    size = 1 << (2 * len(keys)).bit_length()
    whole = np.fft.irfft(np.fft.rfft(activity, size) * np.fft.rfft(keys, size).conj(), size)
    found = np.concatenate([whole[-reach:], whole[: reach + 1]]) / norm
    best = int(np.argmax(np.abs(found)))
    apart = np.abs(np.arange(len(found)) - best) > _APART_S * FRAME_RATE_HZ
    next_best = float(np.max(np.abs(found[apart]), initial=0.0))
    clarity = float(found[best]) / next_best if next_best > 0 else 0.0
    return Match((best - reach) / FRAME_RATE_HZ, clarity)


def _contrast(session: FramedSession) -> Float64:
    """(T,) log power of the left band less that of the right, without its slow part."""
    power = session.values.mean((2, 3), dtype=np.float32).astype(np.float64)  # (T, W)
    slow = np.ones(_DRIFT_FRAMES) / _DRIFT_FRAMES
    hands = []
    for wrist in range(len(SIDES)):
        worn = session.valid[:, wrist]
        level = power[worn, wrist].mean() if worn.any() else 0.0
        hand = np.where(worn, power[:, wrist] - level, 0.0)
        hands.append(hand - np.convolve(hand, slow, "full")[_DRIFT_FRAMES // 2 :][: len(hand)])
    contrast: Float64 = hands[0] - hands[1]
    limit = _CLIP * contrast.std()
    return np.clip(contrast, -limit, limit)


def _signed_keys(session: FramedSession) -> Float64:
    """(T,) +1 at each press of a left hand's key, -1 of a right one's."""
    sign = np.array([(key in _LEFT) - (key in _RIGHT) for key in CHARSET.keys], np.float64)
    keys = np.zeros(len(session.values))
    frames = np.clip(session.labels.press_frame.astype(np.int64), 0, len(keys) - 1)
    np.add.at(keys, frames, sign[session.labels.classes])
    return keys
