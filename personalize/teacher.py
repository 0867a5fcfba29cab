"""A trained network that teaches another: what it says, on the pupil's clock, and the loss of it.

Knowledge distillation (Hinton et al. 2015) on every emission. The teacher reads the recordings as they are,
once; the pupil sees them varied. So the teacher may be of any kind: of another rate, or reading both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.manifest import ModelManifest
from edge.normalize import Prior
from edge.samples import Float32
from personalize.dataset import Batch
from personalize.evaluate import emissions
from personalize.features import Float16, FramedSession
from personalize.geometry import Geometry
from personalize.loss import BatchLoss, decoder_loss
from personalize.model import load_model
from personalize.networks import Network
from personalize.recipe import Distill, Recipe
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.report import read_report
from personalize.splits import Part


@dataclass(frozen=True)
class Teacher:
    """A person's own model, teaching."""

    network: Network
    manifest: ModelManifest
    folder: Path
    known: frozenset[str]  # the recordings that it was trained on, or chosen by

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The model in a folder that personalise wrote. Raises BadInput where it is not one."""
        network, manifest = load_model(folder)
        known = frozenset(part.session for part in read_report(folder).parts if part.role != "test")
        return cls(network, manifest, folder, known)

    @property
    def prior(self) -> Prior | None:
        """What its own input is normalised from."""
        scheme = self.manifest.normalization
        return None if scheme is None else scheme.prior

    def check(self, user: str, parts: Sequence[Part]) -> None:
        """Raise BadInput unless it is a model of `user` to whom the test recording of `parts` is new."""
        if self.manifest.user != user:
            raise BadInput(
                f"{self.folder} is a model of user {self.manifest.user}, not of {user}; "
                "a teacher must know the same person: name one of their own models"
            )
        for part in parts:
            if part.role == "test" and part.name in self.known:
                raise BadInput(
                    f"{part.name} only tests now, and {self.folder} was trained with it, so a figure of it "
                    "would flatter; record one more session (qwrist enroll) or personalize again"
                )


def said(teacher: Network, pupil: Network, recordings: Sequence[FramedSession]) -> list[Float16]:
    """What `teacher` says of each of its `prepared` recordings: (T', K) log-probabilities, T' the pupil's."""
    runtime = TorchRuntime(teacher, in_long_chunks(deployed_form(teacher)))
    speaks = Geometry.for_decoding(teacher, runtime.form)
    hears = Geometry.of(pupil)
    return [
        on_clock(emissions(runtime, recording.frames.values, speaks), speaks, hears).astype(np.float16)
        for recording in recordings
    ]


def on_clock(log_probs: Float32, speaks: Geometry, hears: Geometry) -> Float32:
    """Emissions moved to where `hears` is to say the same key; several that fall on one are averaged.

    At the edges, where there is none, the nearest stands in.
    """
    count = len(log_probs) * speaks.stride // hears.stride
    press_frame = np.arange(count) * hears.stride - hears.label_delay  # of the first key due at each
    first = (press_frame + speaks.label_delay) // speaks.stride
    several = np.arange(max(1, hears.stride // speaks.stride))
    rows = log_probs[np.clip(first[:, None] + several, 0, len(log_probs) - 1)]  # (T', n, K)
    mean: Float32 = np.logaddexp.reduce(rows, 1) - np.float32(np.log(len(several)))
    return mean


def taught_loss(rows: Sequence[Float16], recipe: Recipe) -> BatchLoss:
    """The labels' own loss and, beside it, how far the pupil is from what the teacher says of each window.

    `rows` are `said` of the training recordings, in their order. Raises BadInput where the recipe has no room
    for a teacher.
    """
    distill = recipe.distill
    if distill is None:
        raise BadInput(
            f"the recipe {recipe.name} does not say how much a teacher counts (distill:); "
            "start from: qwrist configs cp micro"
        )

    def loss(log_probs: Tensor, batch: Batch, progress: float) -> Tensor:
        own = decoder_loss(log_probs, batch, recipe.align, progress)
        core = log_probs[:, batch.skip : batch.skip + batch.due.shape[1]]
        apart = _divergence(core, _targets(rows, batch).to(core), batch, distill)
        return (1 - distill.weight) * own + distill.weight * apart

    return loss


def _targets(rows: Sequence[Float16], batch: Batch) -> Tensor:
    """(B, T', K), zeros behind the cores that are shorter than the longest."""
    longest = batch.due.shape[1]
    targets = np.zeros((len(batch.windows), longest, rows[0].shape[1]), np.float32)
    for target, window in zip(targets, batch.windows, strict=True):
        found = rows[window.session][window.first : window.stop]
        target[: len(found)] = found
    return torch.from_numpy(targets)


def _divergence(core: Tensor, targets: Tensor, batch: Batch, distill: Distill) -> Tensor:
    """KL from the teacher's softened emissions to the pupil's, a key; squared temperature keeps the scale."""
    pupil, teacher = (F.log_softmax(x / distill.temperature, -1) for x in (core, targets))
    apart = (teacher.exp() * (teacher - pupil)).sum(-1)  # (B, T')
    blank = targets[..., CHARSET.blank].exp()  # (B, T')
    weight = 1 + (distill.blank_weight - 1) * blank
    inside = torch.arange(apart.shape[1], device=apart.device) < batch.emissions[:, None]
    total = (weight * apart * inside).sum()
    return distill.temperature**2 * total / batch.counts.sum().clamp(min=1)
