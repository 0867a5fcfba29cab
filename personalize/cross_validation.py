"""Judging by a few sentences: each is read by a network that was trained on the others.

Ten sentences are too few to spare any for a test. So they are cut into folds of neighbours, and for each fold
a network is trained without it; what these read together is what training on all sentences is worth.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from math import ceil, floor
from typing import Final, NamedTuple

import numpy as np

from edge.features import HOP
from edge.scoring import Cer
from edge.session import Session
from personalize.evaluate import emissions
from personalize.features import FramedSession
from personalize.gate import Heard, cut_at, probability_better, scores, stretches
from personalize.geometry import Geometry
from personalize.labels import Phrase, labels_of
from personalize.networks import Network
from personalize.recipe import Recipe, override
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.train import Progress, train
from personalize.ways import fitting

FOLDS: Final = 5  # of ten sentences each learns from eight, and five trainings are a minute of CPU time


class Lesson(NamedTuple):
    """What there is to learn from, as a network's input."""

    new: FramedSession
    sentences: tuple[Phrase, ...]  # of `new`, in order
    rehearsal: tuple[FramedSession, ...]  # trained on with every fold: what is not to be forgotten


class Told(NamedTuple):
    """How the sentences are read, one count each: by the network before, and by those that never saw them."""

    before: list[Cer]
    after: list[Cer]

    @property
    def probability(self) -> float:
        """That it is better after than before (personalize.gate)."""
        return probability_better([cer.errors for cer in self.after], [cer.errors for cer in self.before])


def sentences_of(session: Session) -> tuple[Phrase, ...]:
    """The prompts of a recording, each with the keys that were pressed until it was done.

    As their texts say where no keyboard told the keys; stretches of keys where there are no prompts.
    """
    labels = labels_of(session)
    if not labels.timed or not session.prompts:
        return stretches(labels)
    ends_s = [prompt.end_s for prompt in session.prompts]
    ends = np.interp(ends_s, session.time_s, np.arange(len(session.time_s))) / HOP
    return cut_at(labels, [0, *np.searchsorted(labels.press_frame, ends, "right").tolist()])


def cross_validate(
    network: Network, lesson: Lesson, recipe: Recipe, *, seed: int, progress: Progress | None = None
) -> Told:
    """Read each sentence of `lesson` by `network`, and by copies of it that were taught the others."""
    before = _read(network, lesson.new, lesson.sentences)
    after = list[Cer]()
    for sentences, others in folds(lesson):
        taught = copy.deepcopy(network)
        teach(taught, [*others, *lesson.rehearsal], recipe, seed=seed, progress=progress)
        after += _read(taught, lesson.new, sentences)
    return Told(before, after)


def teach(
    network: Network,
    pieces: Sequence[FramedSession],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress | None = None,
) -> float:
    """Train `network` in place for all of the recipe's steps, for nothing is left to choose among them by.

    Gives the loss. Raises NotEnoughData where no window fits into the pieces, TrainingFailed.
    """
    whole = override(recipe, {"evaluations": 1})
    with fitting(network, recipe.way, seed) as fitted:
        return train(fitted, pieces, pieces[-1:], whole, seed=seed, progress=progress).best.loss


def folds(lesson: Lesson) -> Iterator[tuple[tuple[Phrase, ...], list[FramedSession]]]:
    """The sentences of each fold, and what is left of the recording without them."""
    for numbers in np.array_split(np.arange(len(lesson.sentences)), FOLDS):
        sentences = lesson.sentences[numbers[0] : numbers[-1] + 1]
        start, stop = floor(sentences[0].start_frame), ceil(sentences[-1].end_frame)
        around = (lesson.new.between(0, start), lesson.new.between(stop, len(lesson.new.values)))
        yield sentences, [piece for piece in around if piece.labels.count]


def _read(network: Network, session: FramedSession, phrases: Sequence[Phrase]) -> list[Cer]:
    runtime = TorchRuntime(network, in_long_chunks(deployed_form(network)))
    geometry = Geometry.for_decoding(network, runtime.form)
    return scores(Heard(emissions(runtime, session.frames.values, geometry), geometry), phrases)
