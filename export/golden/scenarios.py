"""Golden scenarios: raw samples, as an ADC gives them, that move a decoder through what a day does to it.

Typing is a recording of the wearer that training has not seen; a rehearsal stands in where there is none. The
others are cut from it and disturbed. All are the same for the same recording and seed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.features import HOP
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Bool, Float32
from edge.session import Session
from personalize.labels import Labels, labels_of

UV_PER_LSB: Final = 0.2  # a band's finest codec: 16 bits over +-6.5 mV
TYPING: Final = "typing"

_POSTURES: Final = 20  # distinct patterns over the electrodes: more than a decoder needs to vary its answer
_BURST_S: Final = 0.1  # activity of a key press
_PERIOD_S: Final = 0.2  # five presses a second: fast typing
_REST_UV: Final = 4.0  # between the bursts of a rehearsal
_NOISE_UV: Final = 2.46  # rms of a band's input noise: hands at rest, nothing else
_OFFSET_UV: Final = 400.0  # of a dry electrode, which the high-pass takes away
_CUT_S: Final = 3.0  # of a disturbed scenario
_EVENT_S: Final = 1.0  # when its disturbance begins
_LEAD_S: Final = 0.5  # of recording before the first key that is typed in it

Counts = npt.NDArray[np.int16]


class Scenario(NamedTuple):
    """Raw samples of both bands, and where the stream starts anew."""

    name: str
    tells: str  # what it is there to show
    counts: Counts  # (T, W, E), UV_PER_LSB microvolts each
    valid: Bool  # (T, W): False where a sample is missing; it then holds the last value
    resets: tuple[int, ...] = ()  # samples before which every state is put back to its start
    labels: Labels | None = None  # what was typed, where that is known
    disturbed: bool = False  # something happens to it that typing alone does not do

    @property
    def emg_uv(self) -> Float32:
        """The samples in microvolts."""
        return self.counts.astype(np.float32) * np.float32(UV_PER_LSB)

    @property
    def segments(self) -> tuple[slice, ...]:
        """The samples of each stretch between two resets."""
        bounds = (0, *self.resets, len(self.counts))
        return tuple(slice(start, stop) for start, stop in pairwise(bounds))


def counted(emg_uv: Float32) -> Counts:
    """Microvolts as an ADC counts them: rounded, and clipped at its ends."""
    limits = np.iinfo(np.int16)
    counts: Counts = np.clip(np.rint(emg_uv / UV_PER_LSB), limits.min, limits.max).astype(np.int16)
    return counts


def of_session(session: Session, seconds: float | None = None) -> Scenario:
    """A recording, or `seconds` of it from shortly before its first key. One filtered before is so again."""
    labels = labels_of(session)
    start, stop = 0, len(session.emg_uv)
    if seconds is not None:
        start, stop = _cut(labels, stop, round(seconds * RATE_HZ))
        labels = labels.between(start // HOP, stop // HOP)
    return Scenario(
        TYPING,
        "a recording that training has not seen",
        counted(session.emg_uv[start:stop]),
        session.valid[start:stop].copy(),
        labels=labels,
    )


def _cut(labels: Labels, samples: int, wanted: int) -> tuple[int, int]:
    first = labels.press_frame if labels.timed else [phrase.start_frame for phrase in labels.phrases]
    lead = round(_LEAD_S * RATE_HZ)
    begin = (int(first[0]) * HOP - lead) // HOP * HOP if len(first) else 0
    start = max(0, min(begin, (samples - wanted) // HOP * HOP))
    return start, min(samples, start + wanted)


def rehearsed(duration_s: float = 10.0, seed: int = 0) -> Scenario:
    """Typing-like bursts of noise, then silence with a loud knock. Its text means nothing."""
    rng = np.random.default_rng(seed)
    samples = round(duration_s * RATE_HZ)
    postures = 60.0 * rng.random((_POSTURES, WRISTS, ELECTRODES)) ** 3  # microvolts
    gain_uv = np.full((samples, WRISTS, ELECTRODES), _REST_UV)
    for start_s in np.arange(0.0, 0.7 * duration_s, _PERIOD_S):
        start = round(start_s * RATE_HZ)
        gain_uv[start : start + round(_BURST_S * RATE_HZ)] += postures[rng.integers(_POSTURES)]
    knock = round(0.9 * samples)
    gain_uv[knock : knock + RATE_HZ // 10] *= 1000
    emg_uv = (rng.standard_normal(gain_uv.shape) * gain_uv).astype(np.float32)
    return Scenario(TYPING, "a rehearsal: bursts of noise, no recording", counted(emg_uv), _worn(samples))


def scenarios(
    session: Session | None = None, typing_s: float | None = None, seed: int = 0
) -> tuple[Scenario, ...]:
    """All of them; `typing_s` cuts the typing, by default the recording as a whole."""
    if session is None:
        typing, base = rehearsed(typing_s or 10.0, seed), rehearsed(1.5 * _CUT_S, seed)
    else:
        typing, base = of_session(session, typing_s), of_session(session, _CUT_S)
    cut = round(_CUT_S * RATE_HZ)
    emg_uv, valid = base.emg_uv[:cut], base.valid[:cut]
    return (
        typing,
        _rest(seed),
        _dropout(emg_uv, valid),
        _saturation(emg_uv, valid),
        _transient(emg_uv, valid),
        _disturbed("reset", "every state put back in the middle of a hop", emg_uv, valid, (_at(1.5) + 5,)),
    )


def _disturbed(name: str, tells: str, emg_uv: Float32, valid: Bool, resets: tuple[int, ...] = ()) -> Scenario:
    return Scenario(name, tells, counted(emg_uv), valid, resets, disturbed=True)


def _at(moment_s: float) -> int:
    return round(moment_s * RATE_HZ)


def _worn(samples: int) -> Bool:
    return np.ones((samples, WRISTS), np.bool_)


def _rest(seed: int) -> Scenario:
    rng = np.random.default_rng(seed + 1)
    samples = round(_CUT_S * RATE_HZ)
    offset_uv = _OFFSET_UV * rng.standard_normal((WRISTS, ELECTRODES))
    noise_uv = _NOISE_UV * rng.standard_normal((samples, WRISTS, ELECTRODES))
    emg_uv = (noise_uv + offset_uv).astype(np.float32)
    return _disturbed("rest", "hands at rest, electrodes with offsets", emg_uv, _worn(samples))


def _dropout(emg_uv: Float32, valid: Bool) -> Scenario:
    """Left misses 40 ms, then both 25 ms, then right is lost for good: each holds its last value."""
    emg_uv, valid = emg_uv.copy(), valid.copy()
    for wrists, start, stop in (
        ((0,), _at(_EVENT_S), _at(_EVENT_S + 0.04)),
        ((0, 1), _at(_EVENT_S + 0.3) + 7, _at(_EVENT_S + 0.325)),
        ((1,), _at(_EVENT_S + 1.2), len(emg_uv)),
    ):
        for wrist in wrists:
            emg_uv[start:stop, wrist] = emg_uv[start - 1, wrist]
            valid[start:stop, wrist] = False
    return _disturbed("dropout", "missing samples, then a band that is lost", emg_uv, valid)


def _saturation(emg_uv: Float32, valid: Bool) -> Scenario:
    """Half a second far beyond what the ADC can count: almost every sample is clipped."""
    emg_uv = emg_uv.copy()
    emg_uv[_at(_EVENT_S) : _at(_EVENT_S + 0.5)] *= 1e5
    return _disturbed("saturation", "an ADC clipped at both ends", emg_uv, valid)


def _transient(emg_uv: Float32, valid: Bool) -> Scenario:
    """A tenth of a second a thousand times louder, as far as the ADC goes."""
    emg_uv = emg_uv.copy()
    emg_uv[_at(_EVENT_S) : _at(_EVENT_S + 0.1)] *= 1000
    return _disturbed("transient", "a knock a thousand times louder", emg_uv, valid)
