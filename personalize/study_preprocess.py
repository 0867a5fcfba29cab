"""Preprocessing variants of the study: the same networks on fewer bins, other statistics, half the frames.

Only what the frames know is varied, never a network's shape: pooled bins are written back over the bins they
were pooled from, so that parameter counts stay the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge.features import BINS
from edge.normalize import prior_from
from personalize.features import Float16, FramedSession
from personalize.labels import Labels, Phrase
from personalize.recipe import Recipe

# Edges of six bands in bins of 31.25 Hz: 0, 62.5, 125, 250, 375, 687.5 and 1000 Hz, as SplashNet pools them
# (arXiv 2506.12356, section 3), the constant part falling to the first.
SIX_BANDS: Final = (0, 2, 4, 8, 12, 22, BINS)


class Preprocessing(BaseModel):
    """What is done to the log-power frames of every recording before a network sees them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bins: Literal[33, 6] = 33
    normalization: Literal["batch", "running"] = (
        "batch"  # the network's own batch norm alone, or statistics before
    )
    hop_samples: Literal[16, 32] = 16  # 2 kHz -> 125 or 62.5 frames/s

    @property
    def name(self) -> str:
        """In a word or two, for a table's row."""
        changes = [
            f"{self.bins} bins" if self.bins != BINS else "",
            "running statistics" if self.normalization == "running" else "",
            "62.5 frames/s" if self.hop_samples == 32 else "",
        ]
        return ", ".join(change for change in changes if change) or "as the paper"


def preprocess(
    training: Sequence[FramedSession], others: Sequence[FramedSession], settings: Preprocessing
) -> tuple[list[FramedSession], list[FramedSession]]:
    """Log-power recordings as the network is to see them; statistics are of `training` alone."""
    prior = prior_from(s.frames for s in training) if settings.normalization == "running" else None

    def one(session: FramedSession) -> FramedSession:
        # prepared copies, and a person's recordings are gigabytes; where none is missing none is changed
        unchanged = prior is None and bool(session.valid.all())
        prepared = session if unchanged else session.prepared(prior)
        if settings.bins == 6:
            prepared = replace(prepared, values=_pooled(prepared.values))
        return _thinned(prepared) if settings.hop_samples == 32 else prepared

    return [one(session) for session in training], [one(session) for session in others]


def adapted(recipe: Recipe, settings: Preprocessing) -> Recipe:
    """`recipe` with its times in the frames of `settings`: training counts 125 frames to its second."""
    if settings.hop_samples == 16:
        return recipe
    return recipe.model_copy(
        update={
            "window_s": recipe.window_s / 2,
            "warmup_s": recipe.warmup_s / 2,
            "after_s": recipe.after_s / 2,
            "augment": recipe.augment.model_copy(
                update={
                    "jitter_s": recipe.augment.jitter_s / 2,
                    "time_mask_s": recipe.augment.time_mask_s / 2,
                }
            ),
        }
    )


def _pooled(values: Float16) -> Float16:
    pooled = np.empty_like(values)
    for start, stop in pairwise(SIX_BANDS):
        pooled[..., start:stop] = values[..., start:stop].mean(-1, dtype=np.float32, keepdims=True)
    return pooled


def _thinned(session: FramedSession) -> FramedSession:
    """Every second frame, and the labels' times in those."""
    labels = session.labels
    phrases = tuple(Phrase(p.start_frame / 2, p.end_frame / 2, p.classes) for p in labels.phrases)
    half = Labels(labels.timed, labels.classes, labels.press_frame / 2, phrases)
    return replace(session, values=session.values[::2], valid=session.valid[::2], labels=half)
