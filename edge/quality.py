"""Whether a recording is worth training on: each finding with its figure, its meaning and what to do.

Thresholds carry their reasons; those in microvolts are not applied to files of unstated unit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.edits import text_of
from edge.highpass import CUTOFF_HZ
from edge.samples import ELECTRODES, RATE_HZ, SIDES, Bool, Float32, Float64, Side
from edge.scoring import score
from edge.session import ENTER_MARK, Session

_SEGMENT: Final = 2000  # samples: 1 Hz a bin, so that 50 and 60 Hz and their harmonics fall on bins
_SEGMENTS: Final = 120  # at most, spread over the recording: two minutes settle a power spectrum
_PRESENT: Final = 0.95  # of a segment's samples: what LOSS_FAIL admits; held values bend its spectrum little
_TOP_HZ: Final = 850.0  # surface EMG has next to nothing above it

FLAT_UV: Final = 0.2  # rms in band; a band's own noise is about 2.5 uV, so less means no electrode
LOUD_UV: Final = 500.0  # rms in band; hard contractions stay below it, a loose electrode does not
MAINS: Final = (
    0.5  # share of the in-band power at the mains frequency and its harmonics: as much as of muscle
)
CLIPPED: Final = 1e-3  # share of samples at the electrode's own extreme: a real signal is there once or twice
# Halving 32 electrodes cost emg2qwerty students 3 points of CER, dropping a quarter nothing.
FEWEST_ELECTRODES: Final = 8
LOSS_WARN: Final = 0.01
LOSS_FAIL: Final = 0.05
GAP_S: Final = 0.1  # about one key
DISAGREE_WARN: Final = 5.0  # percent; over 18 real sessions the typed text was 0.05-1.55 % off the prompts
DISAGREE_FAIL: Final = 50.0
SHORT_S: Final = 60.0
FEWEST_KEYS: Final = 20


class Severity(IntEnum):
    """How bad; comparable."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Verdict:
    """One finding. `electrode` and `side` are None where it concerns the whole recording."""

    check: str
    severity: Severity
    figure: str  # what was measured, with its unit
    meaning: str
    advice: str
    side: Side | None = None
    electrode: int | None = None


def check(session: Session) -> tuple[Verdict, ...]:
    """All findings; a check that found nothing gives one verdict OK."""
    spectra = _spectra(session)
    checks = {
        "electrodes": _electrodes(session, spectra),
        "loss": _loss(session),
        "truth": _truth(session),
        "length": _length(session),
    }
    found: list[Verdict] = []
    for name, verdicts in checks.items():
        found += list(verdicts) or [Verdict(name, Severity.OK, "", "nothing to object to", "")]
    return tuple(found)


class _Spectrum(NamedTuple):
    """One band's electrodes, over the segments in which next to no sample is missing."""

    power: Float64  # (E, F) at 1 Hz a bin; its sum over F is the mean square
    clipped: Float64  # (E,) share of samples


def _spectra(session: Session) -> dict[Side, _Spectrum]:
    spectra = {}
    for side in session.sides:
        wrist = SIDES.index(side)
        segments, present = _segments(session.emg_uv[:, wrist], session.valid[:, wrist])
        if len(segments):
            spectra[side] = _Spectrum(_power(segments), _clipped(segments[present]))
    return spectra


def _segments(emg_uv: Float32, valid: Bool) -> tuple[Float32, Bool]:
    """(N, 2000, E) samples and (N, 2000) validity: at most 120 seconds that are nearly whole."""
    count = len(valid) // _SEGMENT
    present = valid[: count * _SEGMENT].reshape(count, _SEGMENT)
    usable = np.flatnonzero(present.mean(1) >= _PRESENT)
    chosen = usable[np.linspace(0, len(usable) - 1, min(len(usable), _SEGMENTS)).astype(int)]
    return emg_uv[: count * _SEGMENT].reshape(count, _SEGMENT, ELECTRODES)[chosen], present[chosen]


def _power(segments: Float32) -> Float64:
    window = np.hanning(_SEGMENT + 1)[:-1]
    scale = 2.0 / (_SEGMENT * np.sum(window**2))  # one-sided: bins add up to the mean square
    power = np.zeros((ELECTRODES, _SEGMENT // 2 + 1))
    for segment in segments:
        centred = segment.astype(np.float64) - segment.mean(0, dtype=np.float64)
        power += np.abs(np.fft.rfft(centred * window[:, None], axis=0)).T ** 2
    return power * scale / len(segments)


def _clipped(samples: Float32) -> Float64:
    at_extreme = (samples == samples.max(0)) | (samples == samples.min(0))
    share: Float64 = at_extreme.mean(0)
    return share


def _electrodes(session: Session, spectra: dict[Side, _Spectrum]) -> Iterator[Verdict]:
    for side in session.sides:
        if side not in spectra:
            yield Verdict(
                "electrodes",
                Severity.WARN,
                f"no second of {session.duration_s:.0f} s is nearly without gaps",
                f"the electrodes of the {side} band could not be judged",
                "bring the band closer until its samples arrive, and record for some minutes",
                side,
            )
            continue
        spectrum, bad = spectra[side], 0
        for electrode in range(ELECTRODES):
            verdicts = list(_electrode(session, side, electrode, spectrum))
            bad += bool(verdicts)
            yield from verdicts
        if ELECTRODES - bad < FEWEST_ELECTRODES:
            yield Verdict(
                "electrodes",
                Severity.FAIL,
                f"{ELECTRODES - bad} of {ELECTRODES} electrodes are usable",
                f"the {side} band hears too little of the muscles",
                "tighten the band, wipe electrodes and skin with water, and record again",
                side,
            )


def _electrode(session: Session, side: Side, electrode: int, spectrum: _Spectrum) -> Iterator[Verdict]:
    hz = np.arange(_SEGMENT // 2 + 1)
    in_band = (hz >= CUTOFF_HZ) & (hz <= _TOP_HZ)
    power = spectrum.power[electrode]
    rms_uv = float(np.sqrt(power[in_band].sum()))
    flat = rms_uv < FLAT_UV if session.calibrated else rms_uv == 0.0
    if flat:
        yield Verdict(
            "flat",
            Severity.WARN,
            f"{rms_uv:.3g} uV rms",
            "no signal: the electrode is not connected",
            "seat the band; if it stays flat, the electrode or its wire is broken",
            side,
            electrode,
        )
        return
    if session.calibrated and rms_uv > LOUD_UV:
        yield Verdict(
            "loud",
            Severity.WARN,
            f"{rms_uv:.0f} uV rms",
            "far above muscle: the electrode is loose or is rubbed",
            "tighten the band, keep sleeve and watch away from it",
            side,
            electrode,
        )
    if spectrum.clipped[electrode] > CLIPPED:
        yield Verdict(
            "clipping",
            Severity.WARN,
            f"{100 * spectrum.clipped[electrode]:.1f} % of samples at the limit",
            "the amplifier is driven to its limit, the signal beyond it is lost",
            "moisten the skin under the electrode, or lower the band's gain",
            side,
            electrode,
        )
    share = _mains_share(power, in_band)
    if share > MAINS:
        yield Verdict(
            "mains",
            Severity.WARN,
            f"{100 * share:.0f} % of the power at the mains frequency",
            "poor contact picks up the building's wiring",
            "moisten the skin, unplug the computer's charger, move away from cables",
            side,
            electrode,
        )


def _mains_share(power: Float64, in_band: Bool) -> float:
    shares = []
    for mains_hz in (50, 60):
        lines = np.zeros_like(in_band)
        for line_hz in range(mains_hz, int(_TOP_HZ), mains_hz):
            lines[line_hz - 1 : line_hz + 2] = True  # a Hann window spreads a line over three bins
        shares.append(float(power[lines & in_band].sum() / power[in_band].sum()))
    return max(shares)


def _loss(session: Session) -> Iterator[Verdict]:
    for side in session.sides:
        yield from _breaks(session, side)
        valid = _between_breaks(session, side)
        lost = 1.0 - float(valid.mean())
        if lost > LOSS_WARN:
            yield Verdict(
                "loss",
                Severity.FAIL if lost > LOSS_FAIL else Severity.WARN,
                f"{100 * lost:.1f} % of the samples are missing",
                f"the link to the {side} band does not keep up",
                "bring the band closer, close other Bluetooth devices; run: qwrist doctor",
                side,
            )
        gap_s = _longest_run(~valid) / RATE_HZ
        if gap_s > GAP_S:
            yield Verdict(
                "gap",
                Severity.WARN,
                f"the longest gap is {gap_s:.2f} s",
                f"keys pressed then have no signal of the {side} band",
                "bring the band closer; if it happens often, record again",
                side,
            )


def _breaks(session: Session, side: Side) -> Iterator[Verdict]:
    starts = [start for start in session.segments if start.side == side]
    if starts:
        uncertain = sum(start.uncertain > 0 for start in starts)
        yield Verdict(
            "link",
            Severity.WARN,
            f"{len(starts)} break{'s' if len(starts) > 1 else ''}, "
            f"longest {max(start.missing for start in starts) / RATE_HZ:.1f} s"
            + (f", {uncertain} of uncertain length" if uncertain else ""),
            f"the {side} band was away and came back, or the recording was gone on with; nothing is known of "
            "what was typed meanwhile",
            "no harm in a long recording; if it was the band, charge it and bring it closer",
            side,
        )


def _between_breaks(session: Session, side: Side) -> Bool:
    """The validity of a band's samples, those of breaks left out; all of it if breaks are all there is."""
    valid = session.valid[:, SIDES.index(side)]
    kept = np.ones_like(valid)
    for start in session.segments:
        if start.side == side:
            kept[max(0, start.first_index - start.missing) : start.first_index] = False
    return valid[kept] if kept.any() else valid


def _longest_run(flags: Bool) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _truth(session: Session) -> Iterator[Verdict]:
    if not session.on_keyboard or not session.prompts or not session.keys:
        return
    prompted = "".join(prompt.text.replace(ENTER_MARK, "\n") for prompt in session.prompts)
    during = [press.key for press in session.keys if _is_prompted(session, press.press_s)]
    typed = text_of(CHARSET.labels(during))
    difference = score(prompted, typed)
    if difference.length and difference.percent > DISAGREE_WARN:
        yield Verdict(
            "truth",
            Severity.FAIL if difference.percent > DISAGREE_FAIL else Severity.WARN,
            f"{difference.percent:.0f} % of the typed text differs from the prompts",
            "the logged keys may not be the ones that were pressed: another window, or another layout",
            "keep the recording window in front and set a US layout, then record again",
        )


def _is_prompted(session: Session, time_s: float) -> bool:
    """Whether a prompt was performed then; one that was broken off is no prompt of the session."""
    begun = bisect_right(session.prompts, time_s, key=lambda prompt: prompt.start_s)
    return begun > 0 and time_s <= session.prompts[begun - 1].end_s


def _length(session: Session) -> Iterator[Verdict]:
    keys = len(session.labels) if session.on_keyboard else sum(len(p.text) for p in session.prompts)
    if keys < FEWEST_KEYS:
        yield Verdict(
            "length",
            Severity.FAIL,
            f"{keys} keys",
            "there is next to nothing to learn from",
            "record again, and type at least a few prompts",
        )
    if session.duration_s < SHORT_S:
        yield Verdict(
            "length",
            Severity.WARN,
            f"{session.duration_s:.0f} s",
            "short recordings cost more in set-up than they teach",
            "record for some minutes at a time",
        )
