"""Forced alignment: when each key of a prompt was typed, by what a network hears.

A prompt says what was typed and not when. Of all the ways in which CTC could read the prompt from the
emissions, the likeliest tells when (Viterbi; Graves et al. 2006, section 4.1, with the maximum for the sum).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.samples import Float32
from personalize.geometry import Geometry
from personalize.labels import Int64, Labels, Phrase

# Nats a key; a prompt that scores less is left to plain CTC. The shipped base as it is, on simulated wearers
# 31 and 32, medium and mid: of 130 prompts that were typed 98 % score more, of other prompts' texts 6 %; of
# texts of which only half was typed 46 %.
LEAST_SCORE: Final = -5.3
# Where an alignment is not believed: at a key less probable than this, and between keys where a blank is less
# probable than that (a slip, a correction, a Shift: prompts do not say these).
_KEY: Final = np.log(0.2)
_BLANK: Final = np.log(0.5)


class Alignment(NamedTuple):
    """The likeliest path of CTC through a row of labels."""

    first: Int64  # (N,) the emission with which each label begins
    stop: Int64  # (N,) the one after its last
    log_prob: float  # of the path

    @property
    def score(self) -> float:
        """Log-probability of the path a label: 0 where the network would have said just this."""
        return self.log_prob / max(1, len(self.first))


def fewest_emissions(classes: Sequence[int]) -> int:
    """How many emissions CTC needs to say `classes`: one each, and a blank between two of a kind."""
    return len(classes) + sum(one == next_one for one, next_one in pairwise(classes))


def align(log_probs: Float32, classes: Sequence[int]) -> Alignment:
    """The likeliest path through (T, K) emissions that reads as `classes`, blanks left out of these.

    Exact; of equally likely paths, one that stays longest. Raises BadInput where there are too few emissions
    to say them all, or none of the paths has a finite probability.
    """
    needed = fewest_emissions(classes)
    if len(log_probs) < max(1, needed):
        raise BadInput(
            f"{len(log_probs)} emissions cannot say {len(classes)} keys, which take {max(1, needed)}; "
            "give the prompt more time"
        )
    states = _states(classes)
    said = log_probs[:, states.classes].astype(np.float64)  # (T, S)
    came, score = _forward(said, states.may_skip)
    end = len(score) - 1 - int(len(score) > 1 and score[-2] > score[-1])
    if not np.isfinite(score[end]):
        raise BadInput(
            "no alignment has a finite probability: the network's emissions hold a NaN or infinity"
        )
    path = _back(came, end)
    labels = 2 * np.arange(len(classes)) + 1
    first, stop = np.searchsorted(path, labels), np.searchsorted(path, labels, "right")
    return Alignment(first.astype(np.int64), stop.astype(np.int64), float(score[end]))


class _States(NamedTuple):
    """Blank, first label, blank, second label, ... blank."""

    classes: Int64  # (S,)
    may_skip: npt.NDArray[np.bool_]  # (S,) may follow on the state before the last: no blank is needed


def _states(classes: Sequence[int]) -> _States:
    found = np.full(2 * len(classes) + 1, CHARSET.blank, np.int64)
    found[1::2] = classes
    may_skip = np.zeros(len(found), np.bool_)
    may_skip[3::2] = found[3::2] != found[1:-2:2]
    return _States(found, may_skip)


def _forward(
    said: npt.NDArray[np.float64], may_skip: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """How many states back the best path to each (T, S) came from, and its log-probability at the end."""
    count, states = said.shape
    came = np.zeros((count, states), np.int8)
    steps = np.full((3, states), -np.inf)  # staying, from the state before, from the one before that
    score = np.full(states, -np.inf)
    score[:2] = said[0, :2]
    for t in range(1, count):
        steps[0] = score
        steps[1, 1:] = score[:-1]
        steps[2, 2:] = np.where(may_skip[2:], score[:-2], -np.inf)
        came[t] = steps.argmax(0)
        score = steps.max(0) + said[t]
    return came, score


def _back(came: npt.NDArray[np.int8], end: int) -> Int64:
    """(T,) the state at each emission, from the last one back."""
    path = np.zeros(len(came), np.int64)
    state = end
    for t in range(len(came) - 1, -1, -1):
        path[t] = state
        state -= int(came[t, state])
    return path


class Aligned(NamedTuple):
    """Labels of which some prompts have key times now."""

    labels: Labels
    prompts: int
    usable: int  # prompts that an alignment of a good enough score was found for


def align_phrases(
    log_probs: Float32, labels: Labels, geometry: Geometry, least_score: float = LEAST_SCORE
) -> Aligned:
    """Give each phrase of `labels` the times of its keys, or none where the network does not hear it.

    log_probs: of the whole recording, from its first emission on. Labels of a keyboard stay as they are.
    """
    if labels.timed:
        return Aligned(labels, 0, 0)
    phrases = tuple(_timed(phrase, log_probs, geometry, least_score) for phrase in labels.phrases)
    usable = sum(bool(phrase.press_frame) for phrase in phrases)
    return Aligned(replace(labels, phrases=phrases), len(phrases), usable)


def doubtful(log_probs: Float32, classes: Sequence[int], found: Alignment) -> Int64:
    """The (T, K) emissions of which `found` may be wrong: the network says something else there.

    Where it does not hear a key, that key can be anywhere between its neighbours.
    """
    doubt = log_probs[:, CHARSET.blank] < _BLANK
    after = [*found.first[1:], len(log_probs)]
    before = [0, *found.stop[:-1]]
    for first, stop in zip(found.first, found.stop, strict=True):
        doubt[first:stop] = False
    for i, (label, first, stop) in enumerate(zip(classes, found.first, found.stop, strict=True)):
        if log_probs[first:stop, label].max() < _KEY:
            doubt[before[i] : after[i]] = True
    return np.flatnonzero(doubt).astype(np.int64)


def _timed(phrase: Phrase, log_probs: Float32, geometry: Geometry, least_score: float) -> Phrase:
    first, last = geometry.due(np.array([phrase.start_frame, phrase.end_frame])).tolist()
    first = max(first, 0)
    said = log_probs[first : last + 1]
    if len(said) >= fewest_emissions(phrase.classes):
        found = align(said, phrase.classes)
        if found.score >= least_score:
            emissions = found.first, doubtful(said, phrase.classes, found)
            pressed, doubt = (tuple(geometry.pressed(first + part).tolist()) for part in emissions)
            return phrase._replace(press_frame=pressed, doubt_frame=doubt)
    return phrase._replace(press_frame=(), doubt_frame=())
