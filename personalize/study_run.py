"""Training one cell of a study, epoch by epoch; what was computed survives whatever ends it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from edge.errors import NotEnoughData
from edge.files import write_atomically
from edge.scoring import Cer
from personalize.dataset import Batch, Windows
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.loss import labels_loss
from personalize.networks import Network
from personalize.recipe import Recipe
from personalize.study import Cell, Epoch, Setting
from personalize.study_preprocess import adapted
from personalize.train import TrainingFailed, initial_network, rate, validate

EpochDone = Callable[[int, int, float, float], None]
"""Told after each step: epoch from 1, epochs, progress within it from 0 to 1, loss."""

_Tensors = dict[str, Tensor]


class Prepared(NamedTuple):
    """A cell's recordings as its network sees them."""

    training: Sequence[FramedSession]
    validation: Sequence[FramedSession]
    test: Sequence[FramedSession]


class Trained(NamedTuple):
    """What training a cell gave."""

    network: Network  # of its best epoch
    test: Cer  # its, on recordings that nothing was decided by
    epochs: tuple[Epoch, ...]
    best_epoch: int
    steps: int
    device: str


class _Progress(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    steps: int = 0


@dataclass
class _Run:
    """A training under way: after any epoch all of it can be written and read."""

    network: Network
    optimizer: torch.optim.AdamW
    best: _Tensors
    progress: _Progress

    @classmethod
    def start(cls, network: Network, recipe: Recipe) -> _Run:
        optimizer = torch.optim.AdamW(
            network.parameters(), recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay
        )
        return cls(network, optimizer, _weights(network), _Progress())

    def save(self, path: Path) -> None:
        """Whole or not at all: weights, the best ones, the optimiser's moments, and the figures so far."""
        tensors = {f"network.{name}": tensor for name, tensor in _weights(self.network).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {"progress": self.progress.model_dump_json()}
        write_atomically(path, safetensors_torch.save(contiguous, metadata))

    def resume(self, path: Path) -> None:
        """Go on from `path` where it is whole; a damaged one is as none: all of it can be made again."""
        try:
            with safe_open(path, framework="pt") as file:
                progress = _Progress.model_validate_json((file.metadata() or {}).get("progress", ""))
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
        except (OSError, SafetensorError, ValidationError):
            return
        self.network.load_state_dict(_under(tensors, "network."))
        self.best, self.progress = _under(tensors, "best."), progress
        moments = _under(tensors, "adam.")
        state = self.optimizer.state_dict()
        state["state"] = {
            index: _under(moments, f"{index}.") for index in sorted({int(k.split(".")[0]) for k in moments})
        }
        self.optimizer.load_state_dict(state)


def train_cell(
    cell: Cell, setting: Setting, prepared: Prepared, checkpoint: Path, done: EpochDone | None = None
) -> Trained:
    """Train a cell, going on from `checkpoint` where that has been begun; it is left there at the end.

    Every epoch draws from a generator of its own, so that a run that was cut short and one that was not are
    the same to the last bit. Raises NotEnoughData, TrainingFailed.
    """
    recipe = adapted(setting.recipe, cell.preprocessing)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = _Run.start(initial_network(cell.network, setting.seed).to(device), recipe)
    run.resume(checkpoint)
    for epoch in range(len(run.progress.epochs) + 1, setting.epochs + 1):
        started_s = time.perf_counter()
        losses = _epoch(run, epoch, setting, recipe, prepared.training, done)
        trained_s = time.perf_counter()
        cer = validate(run.network, prepared.validation)
        _record(run, losses, cer, trained_s - started_s, time.perf_counter() - trained_s)
        run.save(checkpoint)
    run.network.load_state_dict(run.best)
    run.network.cpu().eval()
    progress = run.progress
    test = validate(run.network, prepared.test)
    return Trained(
        run.network, test, progress.epochs, progress.best_epoch, progress.steps, _device_name(device)
    )


def _epoch(
    run: _Run,
    epoch: int,
    setting: Setting,
    recipe: Recipe,
    training: Sequence[FramedSession],
    done: EpochDone | None,
) -> list[float]:
    """Train one epoch; the loss of each step."""
    rng = np.random.default_rng([setting.seed, epoch])
    geometry = Geometry.of(run.network, warmup_s=recipe.warmup_s, after_s=recipe.after_s)
    windows = Windows(training, geometry, recipe.window_s, recipe.align.emissions if recipe.align else 1)
    found = len(windows.epoch(np.random.default_rng(setting.seed)))  # some are cut off or on by their phase
    if not found:
        raise NotEnoughData(
            f"the training recordings hold no stretch of {recipe.window_s + recipe.warmup_s:.1f} s, the "
            "length of a training window; name longer ones"
        )
    count = max(1, round(setting.steps_fraction * found / recipe.batch_windows))
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed * 1000 + epoch)  # for dropout
        batches = windows.batches(recipe.batch_windows, recipe.augment, rng)
        for step, batch in enumerate(itertools.islice(batches, count), 1):
            progress = (epoch - 1 + step / count) / setting.epochs
            losses.append(_step(run, batch, recipe, progress))
            if done is not None:
                done(epoch, setting.epochs, step / count, losses[-1])
    return losses


def _step(run: _Run, batch: Batch, recipe: Recipe, progress: float) -> float:
    """One update; gives the loss before it."""
    network = run.network.train()
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate(progress, recipe.warmup_fraction)
    batch = batch.to(next(network.parameters()).device)
    log_probs, _ = network(batch.frames, network.initial_state(len(batch.frames)))
    loss = labels_loss(recipe.align)(log_probs, batch, progress)
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
    value = loss.item()
    if not (math.isfinite(value) and torch.isfinite(norm)):
        raise TrainingFailed(
            f"the loss of {network.name} is {value}; the learning rate of {recipe.learning_rate:g} is "
            "probably too high for these recordings: halve it in a recipe of your own"
        )
    run.optimizer.step()
    return value


def _record(run: _Run, losses: Sequence[float], cer: Cer, train_s: float, validate_s: float) -> None:
    before = run.progress
    epoch = Epoch(
        loss=float(np.mean(losses)),
        validation_cer_percent=round(cer.percent, 3),
        train_s=round(train_s, 3),
        validate_s=round(validate_s, 3),
    )
    epochs = (*before.epochs, epoch)
    best = before.best_epoch
    if not before.epochs or epoch.validation_cer_percent < epochs[best - 1].validation_cer_percent:
        best, run.best = len(epochs), _weights(run.network)
    run.progress = _Progress(epochs=epochs, best_epoch=best, steps=before.steps + len(losses))


def _weights(network: Network) -> _Tensors:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _under(tensors: _Tensors, prefix: str) -> _Tensors:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
