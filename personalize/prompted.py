"""Key times for prompts: rounds of brief training and alignment, by a network that can already read.

A brief training with plain CTC teaches such a network enough of a person to tell when each key of a prompt
was typed. Those times are for one that cannot read yet: they do for it what a keyboard's would.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from personalize.alignment import LEAST_SCORE, align_phrases
from personalize.evaluate import emissions
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.networks import Network
from personalize.recipe import Recipe, override
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.train import Progress, train

MOST_ROUNDS: Final = 2
_BRIEF: Final = 0.25  # of the recipe's steps, before an alignment
_NEAR: Final = 1  # emission: half of what a key is due at
_STILL: Final = 0.05  # of the keys may be due further than that from where the round before said


class Round(NamedTuple):
    """One alignment of the training recordings' prompts, by a network that was trained on the one before."""

    prompts: int
    usable: int  # prompts that got key times; the others are trained with CTC alone
    moved: float  # share of the keys due elsewhere than the round before said; 1 in the first
    validation_cer_percent: float  # of the network that aligned


class Found(NamedTuple):
    """Training recordings with the key times that were found, and how."""

    sessions: list[FramedSession]
    rounds: tuple[Round, ...]


def needs_alignment(sessions: Sequence[FramedSession], recipe: Recipe) -> bool:
    """Whether there are prompts without key times, and a recipe that key times are of use to."""
    return recipe.align is not None and any(
        not (session.labels.timed or all(phrase.press_frame for phrase in session.labels.phrases))
        for session in sessions
    )


def find_key_times(
    network: Network,
    training: Sequence[FramedSession],
    validation: Sequence[FramedSession],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress | None = None,
    most_rounds: int = MOST_ROUNDS,
    unfinished: Path | None = None,
) -> Found:
    """Find when the keys of the prompts in `prepared` recordings were typed; where needless, in no round.

    Each round trains a copy of `network` briefly on what was found so far, at first nothing, and aligns with
    it. The last is the one in which the keys keep their places, or after which validation is read no better,
    or `most_rounds`. `unfinished` and what is raised are as of `personalize.train.train`.
    """
    sessions, rounds = list(training), list[Round]()
    while len(rounds) < most_rounds and needs_alignment(training, recipe):
        trial = copy.deepcopy(network)
        kept = None if unfinished is None else unfinished / f"round-{len(rounds) + 1}"
        run = train(
            trial, sessions, validation, _brief(recipe), seed=seed, progress=progress, unfinished=kept
        )
        if rounds and run.best.cer.percent >= rounds[-1].validation_cer_percent:
            break
        before, (sessions, prompts, usable) = sessions, align_sessions(trial, training)
        moved = _moved(before, sessions, Geometry.of(network))
        rounds.append(Round(prompts, usable, moved, run.best.cer.percent))
        if moved <= _STILL:
            break
    return Found(sessions, tuple(rounds))


class AlignedSessions(NamedTuple):
    """Recordings with key times where they were found, and how many prompts that are."""

    sessions: list[FramedSession]
    prompts: int
    usable: int


def align_sessions(
    network: Network, sessions: Sequence[FramedSession], least_score: float = LEAST_SCORE
) -> AlignedSessions:
    """`prepared` recordings with the key times that `network` hears in their prompts."""
    runtime = TorchRuntime(network, in_long_chunks(deployed_form(network)))
    geometry = Geometry.for_decoding(network, runtime.form)
    aligned, prompts, usable = [], 0, 0
    for session in sessions:
        if session.labels.timed:
            aligned.append(session)
            continue
        log_probs = emissions(runtime, session.frames.values, geometry)
        found = align_phrases(log_probs, session.labels, geometry, least_score)
        aligned.append(replace(session, labels=found.labels))
        prompts, usable = prompts + found.prompts, usable + found.usable
    return AlignedSessions(aligned, prompts, usable)


def _brief(recipe: Recipe) -> Recipe:
    return override(recipe, {"steps": max(1, round(_BRIEF * recipe.steps)), "evaluations": 1})


def _moved(before: Sequence[FramedSession], after: Sequence[FramedSession], geometry: Geometry) -> float:
    """The share of keys not due `_NEAR` where they were before; keys that had no time count too."""
    moved = known = 0
    for one, other in zip(before, after, strict=True):
        for was, now in zip(one.labels.phrases, other.labels.phrases, strict=True):
            count = len(now.press_frame)
            known += count
            if count != len(was.press_frame):
                moved += count
            elif count:
                due = [geometry.due(np.array(phrase.press_frame)) for phrase in (was, now)]
                moved += int((np.abs(due[0] - due[1]) > _NEAR).sum())
    return moved / known if known else 0.0
