"""Ground truth on the frame clock: keys with their times, or prompted phrases without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.charset import CHARSET
from edge.features import HOP
from edge.samples import Float64, KeyPress, Prompt
from edge.session import Session

Int64 = npt.NDArray[np.int64]


class Phrase(NamedTuple):
    """What was typed between two times; frames from the first sample."""

    start_frame: float
    end_frame: float
    classes: tuple[int, ...]
    press_frame: tuple[float, ...] = ()  # of each class, in order, where an alignment told; else empty
    doubt_frame: tuple[float, ...] = ()  # where the alignment may be wrong: about these it tells nothing

    def shifted(self, frames: float) -> Phrase:
        """The same, so many frames later."""
        return Phrase(
            self.start_frame + frames,
            self.end_frame + frames,
            self.classes,
            tuple(frame + frames for frame in self.press_frame),
            tuple(frame + frames for frame in self.doubt_frame),
        )


@dataclass(frozen=True)
class Labels:
    """What was typed. A recording made without a keyboard has phrases only."""

    timed: bool  # a keyboard told each press
    classes: Int64  # (N,) in order of the presses
    press_frame: Float64  # (N,) frames from the first sample, not rounded
    phrases: tuple[Phrase, ...]

    @property
    def count(self) -> int:
        """How many labels there are to be read."""
        return len(self.classes) if self.timed else sum(len(phrase.classes) for phrase in self.phrases)

    def between(self, start: int, stop: int) -> Labels:
        """The part that lies wholly in frames start .. stop - 1, counted from `start`."""
        inside = (self.press_frame >= start) & (self.press_frame < stop)
        phrases = tuple(
            p.shifted(-start) for p in self.phrases if p.start_frame >= start and p.end_frame < stop
        )
        return replace(
            self, classes=self.classes[inside], press_frame=self.press_frame[inside] - start, phrases=phrases
        )


def labels_of(session: Session) -> Labels:
    """The labels of a recording; presses outside it and keys outside the charset are left out."""
    if session.on_keyboard:
        return _from_keys(session.keys, session.time_s)
    none = np.zeros(0)
    return Labels(
        timed=False,
        classes=none.astype(np.int64),
        press_frame=none,
        phrases=_from_prompts(session.prompts, session.time_s),
    )


def _from_keys(keys: Sequence[KeyPress], time_s: Float64) -> Labels:
    first, last = float(time_s[0]), float(time_s[-1])
    known = sorted(
        (key for key in keys if key.key in CHARSET and first <= key.press_s <= last),
        key=lambda key: key.press_s,
    )
    return Labels(
        timed=True,
        classes=np.array([CHARSET.index(key.key) for key in known], np.int64),
        press_frame=_frames(time_s, [key.press_s for key in known]),
        phrases=(),
    )


def _from_prompts(prompts: Sequence[Prompt], time_s: Float64) -> tuple[Phrase, ...]:
    first, last = float(time_s[0]), float(time_s[-1])
    phrases = []
    for prompt in prompts:
        classes = tuple(CHARSET.labels(prompt.text))
        if classes and first <= prompt.start_s < prompt.end_s <= last:
            start, end = _frames(time_s, [prompt.start_s, prompt.end_s])
            phrases.append(Phrase(float(start), float(end), classes))
    return tuple(phrases)


def _frames(time_s: Float64, moments_s: Sequence[float]) -> Float64:
    """Moments as frames, by the samples' own times: a clock that was corrected in between stays aligned."""
    return np.interp(np.asarray(moments_s, np.float64), time_s, np.arange(len(time_s))) / HOP
