"""The gate: a new model replaces the one in use only where it reads a held-out recording surely better.

Both models read the same recording, which neither was trained on. It is cut into stretches of successive
keys (or its prompts, where key times are not known), and the paired bootstrap over them (Efron and Tibshirani
1993; for error rates Bisani and Ney 2004) says how sure it is that the new one makes fewer errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from edge.samples import Float32
from edge.scoring import Cer, total
from personalize.evaluate import score_emissions
from personalize.geometry import Geometry
from personalize.labels import Labels, Phrase

SURE: Final = 0.95  # the probability of being better from which on a model is replaced
STRETCH_KEYS: Final = 20  # about a short prompt: long enough for its neighbours' errors to be its own affair
FEWEST_STRETCHES: Final = 5  # won by luck alone, four of four are 1 in 16, five of five 1 in 32: below 5 %
_DRAWS: Final = 10_000  # the probability is then known to 0.2 points at 95 %
_SEED: Final = 0  # the verdict on a model is the same however often it is asked for


class Heard(NamedTuple):
    """What a model says of the held-out recording: emissions (T', K) and how they lie on it."""

    log_probs: Float32
    geometry: Geometry


class Decision(NamedTuple):
    """Whether the new model replaces the one in use, and why."""

    promoted: bool
    reason: str
    stretches: int
    probability: float | None = None  # that the new one is better; None where none could be had
    current: Cer | None = None  # of the model in use, on the held-out recording


def decide(new: Heard, current: Heard | None, labels: Labels) -> Decision:
    """Compare two models on a recording with `labels` that neither was trained on; None: there was none."""
    phrases = stretches(labels)
    if not np.isfinite(new.log_probs).all():
        return Decision(
            promoted=False,
            reason="the new model says what is no number; train with a lower rate",
            stretches=len(phrases),
        )
    if current is None:
        return Decision(promoted=True, reason="there was no model before", stretches=len(phrases))
    olds, news = scores(current, phrases), scores(new, phrases)
    if len(phrases) < FEWEST_STRETCHES:
        return Decision(
            promoted=False,
            reason=f"the held-out recording has {len(phrases)} stretches of about {STRETCH_KEYS} keys and "
            f"at least {FEWEST_STRETCHES} are needed to tell which is better; record more: qwrist enroll",
            stretches=len(phrases),
            current=total(olds),
        )
    sure = probability_better([cer.errors for cer in news], [cer.errors for cer in olds])
    verdict = "surely better than" if sure >= SURE else "not surely better than"
    reason = (
        f"{verdict} the model before: {total(news).percent:.1f} % against {total(olds).percent:.1f} % on the "
        f"held-out recording (P = {sure:.3f}; {SURE:g} is needed)"
    )
    return Decision(sure >= SURE, reason, len(phrases), sure, total(olds))


def probability_better(new_errors: Sequence[int], old_errors: Sequence[int]) -> float:
    """How sure it is that new errors are fewer: the share of resampled recordings in which they are.

    A tie is not. Both hold one count a stretch, of the same stretches in the same order.
    """
    gains = np.subtract(old_errors, new_errors)
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(len(gains), np.full(len(gains), 1 / len(gains)), size=_DRAWS)
    return float((drawn @ gains > 0).mean())


def stretches(labels: Labels) -> tuple[Phrase, ...]:
    """Runs of `STRETCH_KEYS` keys, cut halfway between presses, the last takes the rest; or the prompts."""
    if not labels.timed:
        return tuple(phrase for phrase in labels.phrases if phrase.classes)
    keys = len(labels.press_frame)
    cuts = np.arange(keys // STRETCH_KEYS + 1) * STRETCH_KEYS if keys >= STRETCH_KEYS else np.array([0, keys])
    cuts[-1] = keys
    return cut_at(labels, cuts.tolist())


def cut_at(labels: Labels, cuts: Sequence[int]) -> tuple[Phrase, ...]:
    """The runs of timed keys cuts[i] .. cuts[i + 1] - 1 that hold any, cut halfway between presses."""
    frames = labels.press_frame
    edges = np.concatenate([frames[:1] - 1, (frames[1:] + frames[:-1]) / 2, frames[-1:] + 1])
    return tuple(
        Phrase(float(edges[first]), float(edges[stop]), tuple(labels.classes[first:stop].tolist()))
        for first, stop in pairwise(cuts)
        if first < stop
    )


def scores(heard: Heard, phrases: Sequence[Phrase]) -> list[Cer]:
    """How each phrase is read."""
    none = np.zeros(0)
    alone = Labels(timed=False, classes=none.astype(np.int64), press_frame=none, phrases=())
    one = (replace(alone, phrases=(phrase,)) for phrase in phrases)
    return [score_emissions(heard.log_probs, labels, heard.geometry) for labels in one]
