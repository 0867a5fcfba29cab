"""A session: one recording of one wearer, samples and ground truth on one clock.

Read and written in emg2qwerty's HDF5 layout (docs/formats/session.md), so that its files train here and ours
open there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge import session_layout as layout
from edge.charset import CHARSET
from edge.errors import BadSession
from edge.files import replacing
from edge.samples import (
    ELECTRODES,
    RATE_HZ,
    SIDES,
    WRISTS,
    Bool,
    Float32,
    Float64,
    KeyPress,
    Prompt,
    SegmentStart,
    Side,
)
from edge.session_layout import Plan

ON_KEYBOARD: Final = "on_keyboard"  # emg2qwerty's name: every press was logged
PROMPTED: Final = "prompted"  # the wearer followed prompts and pressed no logged key
ENTER_MARK: Final = "⏎"  # ends a prompt's text where Enter was part of it, as in emg2qwerty

LONGEST_S: Final = layout.LONGEST_S  # what one session may last

# A crystal is within 100 ppm, a host's clock fit within 0.1 %; the next rate in use, 2048 Hz, is 2.4 % off.
_RATE_TOLERANCE: Final = 0.01


@dataclass(frozen=True, eq=False)
class Session:
    """A whole recording in memory. Raises BadSession where its parts contradict each other.

    time_s (T,) unix seconds, never decreasing; emg_uv (T, W, E) microvolts, finite; valid (T, W), False where
    a sample is missing (it then holds the last value) and throughout for a band that was not worn; keys in
    order of their press; prompts in order of their start; segments in order of their index, which counts
    from the first sample.
    """

    name: str
    user: str
    condition: str
    sides: tuple[Side, ...]
    filtered: bool
    simulated: bool
    time_s: Float64
    emg_uv: Float32
    valid: Bool
    keys: tuple[KeyPress, ...]
    prompts: tuple[Prompt, ...]
    calibrated: bool = True  # False: the file does not say what its amplitudes are in (emg2qwerty's do not)
    segments: tuple[SegmentStart, ...] = ()  # where a band's samples go on after a break
    source: str = ""  # which bands; empty where that is not known
    plan: Plan | None = None  # of the enrolment; None where there was none

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_sides(self)
        _check_clock(self.time_s)
        _check_finite(self.emg_uv)
        _check_keys(self.keys)
        _check_prompts(self.prompts)
        _check_segments(self)

    @property
    def on_keyboard(self) -> bool:
        """Every key press is known; otherwise the prompts are all the truth there is."""
        return self.condition == ON_KEYBOARD

    @property
    def duration_s(self) -> float:
        """From the first sample to the end of the last."""
        return len(self.time_s) / RATE_HZ

    @property
    def recorded_s(self) -> float:
        """For how long at least one band was heard."""
        return int(self.valid.any(axis=1).sum()) / RATE_HZ

    @property
    def labels(self) -> list[int]:
        """The classes of the keys that were pressed; those outside the charset are left out."""
        return CHARSET.labels(press.key for press in self.keys)


def read_session(path: Path) -> Session:
    """Read a session of ours or of emg2qwerty. Raises BadSession: what was found, what was expected."""
    try:
        content = layout.read(path)
        ours = content.ours or layout.Ours(filtered=True, simulated=False)
        return Session(
            name=content.name,
            user=content.user,
            condition=content.condition,
            sides=ours.sides,
            filtered=ours.filtered,
            simulated=ours.simulated,
            time_s=content.time_s,
            emg_uv=content.emg_uv,
            valid=ours.validity(len(content.time_s)),
            keys=tuple(sorted(content.keys, key=lambda press: press.press_s)),
            prompts=tuple(sorted(content.prompts, key=lambda prompt: prompt.start_s)),
            calibrated=content.ours is not None,
            segments=ours.starts,
            source=ours.source,
            plan=ours.plan,
        )
    except BadSession as error:
        raise BadSession(f"{path} is not a usable session: {error}") from error


def write_session(path: Path, session: Session) -> None:
    """Write `session` at `path` (0600), whole or not at all. Raises BadSession if it is not in microvolts."""
    if not session.calibrated:
        raise BadSession(
            "its amplitudes are in an unstated unit, ours are microvolts; keep the original file"
        )
    content = layout.Content(
        session.name,
        session.user,
        session.condition,
        session.time_s,
        session.emg_uv,
        session.keys,
        session.prompts,
        _ours(session),
    )
    with replacing(path) as temporary:
        layout.write(temporary, content)


def _ours(session: Session) -> layout.Ours:
    return layout.Ours(
        sides=session.sides,
        filtered=session.filtered,
        simulated=session.simulated,
        gaps=layout.gaps_of(session.sides, session.valid),
        segments=tuple(layout.Segment(**start._asdict()) for start in session.segments),
        source=session.source,
        plan=session.plan,
    )


def _check_shapes(session: Session) -> None:
    samples = len(session.time_s)
    if samples == 0:
        raise BadSession("it holds no samples")
    expected = {
        "time_s": (samples,),
        "emg_uv": (samples, WRISTS, ELECTRODES),
        "valid": (samples, WRISTS),
    }
    for name, shape in expected.items():
        found = getattr(session, name).shape
        if found != shape:
            raise BadSession(f"{name} has the shape {found}, expected {shape}")


def _check_sides(session: Session) -> None:
    if not session.sides or list(session.sides) != [side for side in SIDES if side in session.sides]:
        raise BadSession(f"sides is {session.sides}, expected 'left', 'right' or both in this order")
    for wrist, side in enumerate(SIDES):
        if side not in session.sides and session.valid[:, wrist].any():
            raise BadSession(f"the {side} band was not worn, yet has samples marked as valid")


def _check_clock(time_s: Float64) -> None:
    if not np.isfinite(time_s).all():
        raise BadSession(f"time is not finite at sample {np.flatnonzero(~np.isfinite(time_s))[0]}")
    steps = np.diff(time_s)
    if (steps < 0).any():
        at = int(np.flatnonzero(steps < 0)[0])
        raise BadSession(f"time runs backwards by {-steps[at]:.6f} s after sample {at}")
    if len(steps) == 0:
        return
    median_s = float(np.median(steps))
    if abs(median_s * RATE_HZ - 1.0) > _RATE_TOLERANCE:
        found = f"{1.0 / median_s:.0f} Hz" if median_s > 0 else "no progress from sample to sample"
        raise BadSession(f"the median time step says {found}, expected {RATE_HZ} Hz; resample the recording")


def _check_finite(emg_uv: Float32) -> None:
    for start in range(0, len(emg_uv), 1 << 16):
        finite = np.isfinite(emg_uv[start : start + (1 << 16)])
        if not finite.all():
            t, wrist, electrode = np.argwhere(~finite)[0]
            where = f"sample {start + t} of electrode {electrode} of the {SIDES[wrist]} band"
            raise BadSession(f"{where} is not a finite number; declare missing samples instead")


def _check_keys(keys: tuple[KeyPress, ...]) -> None:
    for before, press in zip((None, *keys), keys, strict=False):
        if not np.isfinite([press.press_s, press.release_s]).all() or press.release_s < press.press_s:
            raise BadSession(
                f"key {press.key!r} is released at {press.release_s}, pressed at {press.press_s}"
            )
        if before is not None and press.press_s < before.press_s:
            raise BadSession(f"key {press.key!r} at {press.press_s} s comes after a later press")


def _check_prompts(prompts: tuple[Prompt, ...]) -> None:
    for before, prompt in zip((None, *prompts), prompts, strict=False):
        if not np.isfinite([prompt.start_s, prompt.end_s]).all() or prompt.end_s < prompt.start_s:
            raise BadSession(f"the prompt {prompt.text!r} ends at {prompt.end_s}, starts at {prompt.start_s}")
        if before is not None and prompt.start_s < before.start_s:
            raise BadSession(f"the prompt {prompt.text!r} at {prompt.start_s} s comes after a later one")


def _check_segments(session: Session) -> None:
    for before, start in zip((None, *session.segments), session.segments, strict=False):
        if start.side not in session.sides:
            raise BadSession(f"a segment of the {start.side} band begins, which was not worn")
        if not 0 <= start.first_index < len(session.time_s):
            raise BadSession(
                f"a segment of the {start.side} band begins at sample {start.first_index} of "
                f"{len(session.time_s)}"
            )
        if before is not None and start.first_index < before.first_index:
            raise BadSession(f"the segment at sample {start.first_index} comes after a later one")
