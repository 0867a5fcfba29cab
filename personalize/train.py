"""The training loop: windows in, the network of the best validation decoding out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import NotEnoughData, QwristError
from edge.scoring import Cer, total
from personalize.average import WeightAverage
from personalize.dataset import Batch, Windows
from personalize.evaluate import emissions, score_emissions
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.loss import BatchLoss, labels_loss
from personalize.networks import Network, build
from personalize.recipe import Recipe
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks

Progress = Callable[[int, int, float], None]
"""Told after each step: steps done, steps in all, loss."""

_FINAL_RATE = 0.01  # of the peak learning rate, where the cosine ends


class TrainingFailed(QwristError):
    """Training diverged; nothing was kept of it."""


@dataclass(frozen=True)
class Evaluation:
    """The validation figure at a step."""

    step: int
    loss: float  # mean since the last evaluation
    cer: Cer


@dataclass(frozen=True)
class Training:
    """How a run went; the network itself was left with the weights of `best`."""

    best: Evaluation
    evaluations: tuple[Evaluation, ...]


def initial_network(name: str, seed: int) -> Network:
    """A freshly initialised network that depends on nothing but `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(name)


def train(
    network: Network,
    training: Sequence[FramedSession],
    validation: Sequence[FramedSession],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress | None = None,
    loss: BatchLoss | None = None,
) -> Training:
    """Train `network` in place on `prepared` recordings and leave it at its best on `validation`.

    `loss` stands in for the labels' own of the recipe. Deterministic for a seed, a device and a number of
    threads. Raises NotEnoughData where no window fits into the recordings, TrainingFailed where the loss is
    not finite.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    _set_dropout(network, recipe.dropout)
    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay
    )
    loss_of = loss or labels_loss(recipe.align)
    average = WeightAverage(network, recipe.average_decay)
    evaluations: list[Evaluation] = []
    losses: list[float] = []
    best, best_weights = None, {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for dropout
        for step, batch in enumerate(_batches(network, training, recipe, seed), 1):
            losses.append(_update(network, optimizer, batch.to(device), recipe, step, loss_of))
            average.follow()
            if progress is not None:
                progress(step, recipe.steps, losses[-1])
            if step not in _evaluated_steps(recipe):
                continue
            with average.in_place():
                evaluations.append(Evaluation(step, float(np.mean(losses)), validate(network, validation)))
                losses.clear()
                if best is None or evaluations[-1].cer.percent <= best.cer.percent:
                    best, best_weights = evaluations[-1], _copy_weights(network)
    if best is None:
        raise NotEnoughData(
            f"the training recordings hold no stretch of {recipe.window_s + recipe.warmup_s:.1f} s, "
            "the length of a training window; record more: qwrist enroll"
        )
    network.load_state_dict(best_weights)
    network.cpu().eval()
    return Training(best, tuple(evaluations))


def validate(network: Network, sessions: Sequence[FramedSession]) -> Cer:
    """The CER of `network` over `prepared` recordings."""
    runtime = TorchRuntime(network, in_long_chunks(deployed_form(network)))
    geometry = Geometry.for_decoding(network, runtime.form)
    return total(
        score_emissions(emissions(runtime, session.frames.values, geometry), session.labels, geometry)
        for session in sessions
    )


def rate(progress: float, warmup_fraction: float) -> float:
    """The learning rate as a share of its peak: linear warm-up, then a cosine to 1 %."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    fall = (progress - warmup_fraction) / (1 - warmup_fraction)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * fall))


def _batches(
    network: Network, training: Sequence[FramedSession], recipe: Recipe, seed: int
) -> Iterator[Batch]:
    geometry = Geometry.of(network, warmup_s=recipe.warmup_s, after_s=recipe.after_s)
    windows = Windows(training, geometry, recipe.window_s, recipe.align.emissions if recipe.align else 1)
    batches = windows.batches(recipe.batch_windows, recipe.augment, np.random.default_rng(seed))
    return islice(batches, recipe.steps)


def _evaluated_steps(recipe: Recipe) -> frozenset[int]:
    """Evenly spread, the last one included."""
    return frozenset(round(recipe.steps * (i + 1) / recipe.evaluations) for i in range(recipe.evaluations))


def _copy_weights(network: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _update(
    network: Network,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
    step: int,
    loss_of: BatchLoss,
) -> float:
    """One step of the optimiser; gives the loss before it."""
    network.train()
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate(step / recipe.steps, recipe.warmup_fraction)
    with torch.autocast(batch.frames.device.type, torch.bfloat16, enabled=recipe.bfloat16):
        log_probs, _ = network(batch.frames, network.initial_state(len(batch.frames)))
    loss = loss_of(log_probs.float(), batch, (step - 1) / recipe.steps)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    norm = nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
    value = loss.item()
    if not (math.isfinite(value) and torch.isfinite(norm)):
        raise TrainingFailed(
            f"the loss is {value} at step {step}; the recipe's learning rate of {recipe.learning_rate:g} "
            "is probably too high for these recordings: halve it"
        )
    optimizer.step()
    return value


def _set_dropout(network: Network, share: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
