"""The training loop: windows in, the network of the best validation decoding out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import NotEnoughData, QwristError
from edge.scoring import Cer, total
from personalize import resume
from personalize.average import WeightAverage
from personalize.dataset import Batch, Windows
from personalize.evaluate import emissions, score_emissions
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.loss import BatchLoss, labels_loss
from personalize.networks import Network, build
from personalize.recipe import Recipe
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.resume import EvaluationFigures, Figures, Snapshot

Progress = Callable[[int, int, float], None]
"""Told after each step: steps done, steps in all, loss."""

_FINAL_RATE = 0.01  # of the peak learning rate, where the cosine ends
_SAVED_EVERY_S = 20.0  # what an interruption costs at most; a save is 20 MB for the live network, 0.1 s


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
    unfinished: Path | None = None,
) -> Training:
    """Train `network` in place on `prepared` recordings and leave it at its best on `validation`.

    `loss` stands in for the labels' own of the recipe. `unfinished` is a folder where the run is kept as it
    goes (personalize.resume): called again with the same, it goes on where it was, and the
    result is the same to the bit. Who gives a `loss` gives a folder of its own for each. Deterministic for a
    seed, a device and a number of threads. Raises NotEnoughData where no window fits into the recordings,
    TrainingFailed where the loss is not finite.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = ""
    if unfinished is not None:
        name = resume.run_name(network, training, validation, recipe, seed, device)
    network.to(device)
    _set_dropout(network, recipe.dropout)
    run = _Run(network, recipe, device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # for dropout
        if unfinished is not None and (kept := resume.read(unfinished, name)):
            run.restore(kept)
        saved_s = time.monotonic()
        batches = _batches(network, training, recipe, seed)
        for batch in islice(batches, run.step, recipe.steps):
            value = run.update(batch.to(device), loss or labels_loss(recipe.align))
            if progress is not None:
                progress(run.step, recipe.steps, value)
            if run.step in _evaluated_steps(recipe):
                run.evaluate(validation)
            over = run.step == recipe.steps or time.monotonic() - saved_s >= _SAVED_EVERY_S
            if unfinished is not None and over:
                resume.write(unfinished, name, run.snapshot())
                saved_s = time.monotonic()
    if run.best is None:
        raise NotEnoughData(
            f"the training recordings hold no stretch of {recipe.window_s + recipe.warmup_s:.1f} s, "
            "the length of a training window; record more: qwrist enroll"
        )
    network.load_state_dict(run.best_weights)
    network.cpu().eval()
    return Training(run.best, tuple(run.evaluations))


class _Run:
    """A training run under way; between two steps all of it can be written and read."""

    def __init__(self, network: Network, recipe: Recipe, device: torch.device) -> None:
        self._network, self._recipe, self._device = network, recipe, device
        self._optimizer = torch.optim.AdamW(
            network.parameters(), recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay
        )
        self._average = WeightAverage(network, recipe.average_decay)
        self.step = 0
        self._losses: list[float] = []  # since the last evaluation
        self.evaluations: list[Evaluation] = []
        self.best: Evaluation | None = None
        self.best_weights: dict[str, Tensor] = {}

    def update(self, batch: Batch, loss_of: BatchLoss) -> float:
        """The next step; gives the loss before it."""
        value = _update(self._network, self._optimizer, batch, self._recipe, self.step + 1, loss_of)
        self.step += 1
        self._losses.append(value)
        self._average.follow()
        return value

    def evaluate(self, validation: Sequence[FramedSession]) -> None:
        """Score the averaged weights, and keep them where none were better; ties go to the later."""
        with self._average.in_place():
            now = Evaluation(self.step, float(np.mean(self._losses)), validate(self._network, validation))
            self.evaluations.append(now)
            self._losses.clear()
            if self.best is None or now.cer.percent <= self.best.cer.percent:
                self.best, self.best_weights = now, _copy_weights(self._network)

    def snapshot(self) -> Snapshot:
        """All that `restore` needs, the random numbers of dropout included."""
        figures = Figures(
            step=self.step,
            losses=tuple(self._losses),
            evaluations=tuple(
                EvaluationFigures(step=e.step, loss=e.loss, cer=e.cer) for e in self.evaluations
            ),
        )
        parts = {
            "network": self._network.state_dict(),
            "average": self._average.tensors,
            "optimizer": resume.optimizer_tensors(self._optimizer),
            "best": self.best_weights,
            "random": {"cpu": torch.get_rng_state()},
        }
        if self._device.type == "cuda":
            parts["random"]["cuda"] = torch.cuda.get_rng_state(self._device)
        return Snapshot(
            figures, {f"{part}.{name}": t for part, ts in parts.items() for name, t in ts.items()}
        )

    def restore(self, kept: Snapshot) -> None:
        """Go on where `snapshot` was taken."""
        self.step, self._losses = kept.figures.step, list(kept.figures.losses)
        self.evaluations = [Evaluation(e.step, e.loss, e.cer) for e in kept.figures.evaluations]
        for evaluation in self.evaluations:
            if self.best is None or evaluation.cer.percent <= self.best.cer.percent:
                self.best = evaluation
        self._network.load_state_dict(kept.under("network"))
        self._average.restore(kept.under("average"), self.step)
        resume.restore_optimizer(self._optimizer, kept.under("optimizer"))
        self.best_weights = kept.under("best")
        random = kept.under("random")
        torch.set_rng_state(random["cpu"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self._device)


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
    return windows.batches(recipe.batch_windows, recipe.augment, np.random.default_rng(seed))


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
