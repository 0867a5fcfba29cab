"""Training windows whose labels are exactly what their emissions can know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edge.charset import CHARSET
from edge.features import FRAME_RATE_HZ
from edge.samples import Float32
from personalize.augment import augment
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.labels import Int64
from personalize.recipe import Augmentation

IGNORE = -1  # an emission of which it is not known what is due
_NOWHERE = np.zeros(0, np.int64)


class Window(NamedTuple):
    """A core of emissions first .. stop - 1 of one session, and what is due in it."""

    session: int
    first: int
    stop: int
    classes: Int64  # (N,) in order
    due: Int64 | None  # (N,) emissions from `first`; None where only the order is known
    doubt: Int64 = _NOWHERE  # emissions from `first` at which, all the same, it is not known what is due


class Batch(NamedTuple):
    """Windows of one length; those with a shorter core are followed by more of their recording."""

    frames: Tensor  # (B, T, W, E, F) float32
    emissions: Tensor  # (B,) emissions of each core; they start with the network's emission `skip`
    skip: int  # emissions that only fill the state
    classes: Tensor  # (sum of N,) labels, window after window
    counts: Tensor  # (B,) labels of each window
    due: Tensor  # (B, T') the class due at each emission of the core, blank between, or IGNORE
    windows: tuple[Window, ...] = ()  # where each was cut from, for those who know more of the recordings

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(
            self.frames.to(device),
            self.emissions.to(device),
            self.skip,
            self.classes.to(device),
            self.counts.to(device),
            self.due.to(device),
            self.windows,
        )


class Windows:
    """The windows of a set of recordings, drawn anew for each epoch."""

    def __init__(
        self, sessions: Sequence[FramedSession], geometry: Geometry, window_s: float, emissions_per_key: int
    ) -> None:
        self._sessions = sessions
        self._geometry = geometry
        self._core = max(1, round(window_s * FRAME_RATE_HZ / geometry.stride))
        self._emissions_per_key = emissions_per_key

    def epoch(self, rng: np.random.Generator) -> list[Window]:
        """Each recording once, in random order, cut at random places (or at its prompts)."""
        windows: list[Window] = []
        for index, session in enumerate(self._sessions):
            cut = self._timed if session.labels.timed else self._prompted
            windows += cut(index, session, rng)
        return [windows[i] for i in rng.permutation(len(windows))]

    def batches(self, size: int, augmentation: Augmentation, rng: np.random.Generator) -> Iterator[Batch]:
        """Batches of `size` windows, epoch after epoch without end; none where nothing fits in."""
        waiting: list[Window] = []
        while windows := self.epoch(rng):
            waiting += windows
            while len(waiting) >= size:
                yield self.batch(waiting[:size], augmentation, rng)
                waiting = waiting[size:]

    def batch(
        self, windows: Sequence[Window], augmentation: Augmentation | None, rng: np.random.Generator
    ) -> Batch:
        """Collect `windows`, each varied on its own."""
        longest = max(window.stop - window.first for window in windows)
        frames = [self._frames(window, longest) for window in windows]
        if augmentation is not None:
            for values in frames:
                augment(values, augmentation, rng)
        return Batch(
            frames=torch.from_numpy(np.stack(frames)),
            emissions=torch.tensor([window.stop - window.first for window in windows]),
            skip=self._geometry.warmup // self._geometry.stride,
            classes=torch.from_numpy(np.concatenate([window.classes for window in windows])),
            counts=torch.tensor([len(window.classes) for window in windows]),
            due=torch.from_numpy(np.stack([self._targets(window, longest) for window in windows])),
            windows=tuple(windows),
        )

    def _timed(self, index: int, session: FramedSession, rng: np.random.Generator) -> Iterator[Window]:
        cores = self._geometry.cores(len(session.values))
        due = self._geometry.due(session.labels.press_frame) - cores.start
        if len(cores) >= self._core:
            yield from self._cut(
                Window(index, cores.start, cores.stop, session.labels.classes, due), due, rng
            )

    def _prompted(self, index: int, session: FramedSession, rng: np.random.Generator) -> Iterator[Window]:
        cores = self._geometry.cores(len(session.values))
        for phrase in session.labels.phrases:
            first, last = self._due([phrase.start_frame, phrase.end_frame]).tolist()
            if first < cores.start or last >= cores.stop:
                continue
            whole = Window(index, first, last + 1, np.array(phrase.classes, np.int64), None)
            if not phrase.press_frame:
                yield whole
                continue
            due = self._due(phrase.press_frame) - first
            whole = whole._replace(due=due, doubt=self._due(phrase.doubt_frame) - first)
            if last + 1 - first < self._core:
                yield whole
            else:
                yield from self._cut(whole, due, rng)

    def _cut(self, whole: Window, due: Int64, rng: np.random.Generator) -> Iterator[Window]:
        """Windows of one length out of a longer one of which it is known what is `due` when."""
        slack = whole.stop - whole.first - self._core
        phase = int(rng.integers(min(slack + 1, self._core)))
        for start in range(phase, slack + 1, self._core):
            stop = start + self._core
            inside = slice(*np.searchsorted(due, [start, stop]))
            doubt = whole.doubt[slice(*np.searchsorted(whole.doubt, [start, stop]))]
            first = whole.first + start
            yield Window(
                whole.session,
                first,
                first + self._core,
                whole.classes[inside],
                due[inside] - start,
                doubt - start,
            )

    def _due(self, frames: Sequence[float]) -> Int64:
        return self._geometry.due(np.array(frames, np.float64))

    def _frames(self, window: Window, emissions: int) -> Float32:
        """The window's frames with a core of `emissions`, zeros where the recording has ended."""
        values = self._sessions[window.session].values
        start = window.first * self._geometry.stride - self._geometry.frames_before
        found = values[start : start + self._geometry.window_frames(emissions)]
        frames = np.zeros((self._geometry.window_frames(emissions), *values.shape[1:]), np.float32)
        frames[: len(found)] = found
        return frames

    def _targets(self, window: Window, emissions: int) -> Int64:
        due = np.full(emissions, IGNORE, np.int64)
        if window.due is None:
            return due
        core = window.stop - window.first
        due[:core] = CHARSET.blank
        for emission, label in zip(window.due.tolist(), window.classes.tolist(), strict=True):
            due[emission : min(emission + self._emissions_per_key, core)] = label
        due[window.doubt] = IGNORE
        return due
