"""Enrolment: show prompts, record what the wearer's muscles do, seal it as a session.

Two kinds of truth, both complete: with a KeySource every press is logged and Enter ends a prompt; without
one (many wearers have no hand to press keys with) a prompt ends at a pace or when the wearer says so, and
the prompts themselves are what was meant: their text, and the Enter after it only where Enter is the switch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, assert_never

from edge.charset import CHARSET, ENTER
from edge.edits import text_of
from edge.errors import NotEnoughData, SourceLost
from edge.recording import Recorder
from edge.samples import RATE_HZ, SIDES, KeySource, Prompt, SampleChunk, SampleSource
from edge.session import ENTER_MARK, ON_KEYBOARD

# Samples kept after the last prompt: the decision on its last key needs what follows it. 0.2 s is the widest
# context after a press that a network here trains with; the rest is the muscle letting go.
TAIL_S: Final = 0.5


class AtPace(NamedTuple):
    """A prompt lasts as long as its text takes: the wearer follows along."""

    characters_per_s: float = 2.0  # the slowest of emg2qwerty's 108 typists pressed 2.2 keys/s, the mean 4.4
    reading_s: float = 1.5  # before the first character


class WhenDone(NamedTuple):
    """A prompt lasts until `done(now_s)` is true: a switch, a breath, an eye, a helper's key."""

    done: Callable[[float], bool]
    mark: str = ""  # what the wearer does to end a prompt, where that is typing: ENTER_MARK


class Ended(Enum):
    """Why an enrolment came to its end."""

    PROMPTS = "all prompts were performed"
    TIME = "the time was up"
    SOURCE = "the source ended"


class Progress(NamedTuple):
    """Where an enrolment stands."""

    prompts: int  # performed
    keys: int  # pressed
    recorded_s: float
    missing: float  # share of the worn bands' samples that did not arrive
    typed: str  # what the keys of the prompt on show have typed so far


class Enrollment(NamedTuple):
    """A sealed recording."""

    path: Path
    ended: Ended
    progress: Progress


def resuming(user: str) -> str:
    """The command that goes on with what was broken off."""
    return f"qwrist enroll --user {user} --resume"


async def enroll(
    source: SampleSource,
    keys: KeySource | None,
    prompts: Iterator[str],
    recorder: Recorder,
    show: Callable[[str], None],
    *,
    ending: AtPace | WhenDone = AtPace(),  # noqa: B008 - immutable
    max_prompts: int | None = None,
    max_s: float | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Enrollment:
    """Record until `max_prompts` are performed, `max_s` are over or the source ends; then seal.

    `ending` says when a prompt is over where there are no `keys`. Prompts cut off by the end are not
    recorded. On cancellation (Ctrl-C) what was recorded is sealed at `recorder.path` and CancelledError goes
    on; where the source breaks off it is sealed and SourceLost names the path. Raises NotEnoughData if no
    sample came.
    """
    if (keys is not None) != (recorder.heading.condition == ON_KEYBOARD):
        raise ValueError(f"a recording with logged keys, and no other, has the condition {ON_KEYBOARD!r}")
    enrolment = _Enrolment(prompts, keys, recorder, show, ending, max_prompts, max_s)
    ended = Ended.SOURCE
    async with _sealed_if_cut_short(recorder), aclosing(source.chunks()) as chunks:
        async for chunk in chunks:
            reached = enrolment.take(chunk)
            progress(enrolment.progress)
            if reached is not None:
                ended = reached
                break
    return Enrollment(recorder.seal(), ended, enrolment.progress)


@dataclass
class _Enrolment:
    """The prompt on show, and what was counted so far."""

    prompts: Iterator[str]
    keys: KeySource | None
    recorder: Recorder
    show: Callable[[str], None]
    ending: AtPace | WhenDone
    max_prompts: int | None
    max_s: float | None
    first_s: float | None = None
    text: str | None = None  # on show; None once the prompts are used up
    shown_s: float = 0.0
    used_up_s: float = 0.0
    performed: int = 0
    presses: int = 0
    missing: int = 0
    labels: list[int] = field(default_factory=list)  # pressed since the prompt was shown

    def take(self, chunk: SampleChunk) -> Ended | None:
        """Record a chunk and what happened during it; say why the enrolment is over, once it is."""
        if len(chunk.time_s) == 0:
            return None
        self.recorder.add(chunk)
        worn = [SIDES.index(side) for side in self.recorder.heading.sides]
        self.missing += int((~chunk.valid[:, worn]).sum())
        if self.first_s is None:
            self.first_s = float(chunk.time_s[0])
            self._show_next(self.first_s)
        now_s = float(chunk.time_s[-1])
        if self.keys is not None:
            self._take_keys(self.keys, now_s)
        elif self.text is not None and self._over(self.text, now_s):
            self._finish(self.text + self._mark, now_s)
        if self.text is None and now_s - self.used_up_s >= TAIL_S:
            return Ended.PROMPTS
        if self.max_s is not None and now_s - self.first_s >= self.max_s:
            return Ended.TIME
        return None

    @property
    def progress(self) -> Progress:
        samples = self.recorder.samples
        expected = max(1, samples * len(self.recorder.heading.sides))
        return Progress(
            self.performed, self.presses, samples / RATE_HZ, self.missing / expected, text_of(self.labels)
        )

    def _take_keys(self, keys: KeySource, now_s: float) -> None:
        for press in keys.until(now_s):
            self.recorder.add_key(press)
            self.presses += 1
            labels = CHARSET.labels([press.key])
            self.labels += labels
            if labels == [CHARSET.index(ENTER)] and self.text is not None:
                self._finish(self.text + ENTER_MARK, press.press_s)

    @property
    def _mark(self) -> str:
        return self.ending.mark if isinstance(self.ending, WhenDone) else ""

    def _over(self, text: str, now_s: float) -> bool:
        match self.ending:
            case AtPace(characters_per_s, reading_s):
                return now_s - self.shown_s >= reading_s + len(text) / characters_per_s
            case WhenDone(done, _):
                return done(now_s)
            case _:
                assert_never(self.ending)

    def _finish(self, text: str, end_s: float) -> None:
        end_s = max(
            end_s, self.shown_s
        )  # a key can be stamped before the chunk in which its prompt was shown
        self.recorder.add_prompt(Prompt(text, self.shown_s, end_s))
        self.performed += 1
        self._show_next(end_s)

    def _show_next(self, now_s: float) -> None:
        enough = self.max_prompts is not None and self.performed >= self.max_prompts
        self.text = None if enough else next(self.prompts, None)
        self.shown_s = now_s
        self.labels.clear()
        if self.text is None:
            self.used_up_s = now_s
        else:
            self.show(self.text)


@asynccontextmanager
async def _sealed_if_cut_short(recorder: Recorder) -> AsyncIterator[None]:
    try:
        yield
    except SourceLost as error:
        path = _seal_if_anything(recorder)
        kept = (
            f"what was recorded is in {path}; go on with: {resuming(recorder.heading.user)}"
            if path
            else "nothing was recorded"
        )
        raise SourceLost(f"{error}; {kept}") from error
    except asyncio.CancelledError:
        _seal_if_anything(recorder)
        raise
    finally:
        recorder.close()


def _seal_if_anything(recorder: Recorder) -> Path | None:
    try:
        return recorder.seal()
    except NotEnoughData:
        return None
