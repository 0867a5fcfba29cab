"""CTC, and beside it a cross-entropy per emission where the times of the keys are known.

CTC alone (Graves et al. 2006) stays on the plateau of all-blank for as long as a small recording can be
trained on; telling where each key is due leaves it within a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from edge.charset import CHARSET
from personalize.dataset import IGNORE, Batch
from personalize.recipe import Align

BatchLoss = Callable[[Tensor, Batch, float], Tensor]
"""From (B, T, K) log-probabilities, their batch and the progress from 0 to 1 to the loss."""


def labels_loss(align: Align | None) -> BatchLoss:
    """`decoder_loss` with its settings."""
    return lambda log_probs, batch, progress: decoder_loss(log_probs, batch, align, progress)


def decoder_loss(log_probs: Tensor, batch: Batch, align: Align | None, progress: float) -> Tensor:
    """The loss of a batch from the network's (B, T, K) log-probabilities; `progress` runs from 0 to 1."""
    core = log_probs[:, batch.skip : batch.skip + batch.due.shape[1]]
    ctc = F.ctc_loss(
        core.transpose(0, 1),
        batch.classes,
        batch.emissions,
        batch.counts,
        blank=CHARSET.blank,
        reduction="none",
        zero_infinity=True,
    )
    ctc = ctc / batch.counts.clamp(min=1)  # (B,) a key
    timed = (batch.due != IGNORE).any(1)  # (B,)
    if align is None or not timed.any():
        return ctc.mean()
    weight = align.early_weight if progress < align.early_fraction else align.late_weight
    share = weight * timed.to(ctc.dtype)  # windows without key times are left to CTC
    return ((1 - share) * ctc).mean() + share.mean() * align.scale * _aligned(core, batch.due, align)


def _aligned(core: Tensor, due: Tensor, align: Align) -> Tensor:
    """Mean cross-entropy over the emissions whose class is known, blanks weighing less."""
    known = due != IGNORE
    target = due[known]  # (M,)
    surprise = -core[known].gather(1, target[:, None])[:, 0]  # (M,)
    weight = surprise.new_ones(surprise.shape)
    weight[target == CHARSET.blank] = align.blank_weight
    return (weight * surprise).sum() / weight.sum()
