"""What a training run that was cut short goes on from; it then ends to the bit as if nothing had happened.

A folder of safetensors files, each named by all that decides its run: another recording, recipe, seed, start
or version is another run. Finished runs stay in it too, for the sake of whatever comes after them, until
whoever asked for them all calls `clear`. What is not whole is made again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from edge.files import write_atomically
from edge.scoring import Cer
from personalize.features import FramedSession
from personalize.networks import Network
from personalize.recipe import Recipe

_SUFFIX = ".safetensors"


class EvaluationFigures(BaseModel):
    """A validation figure and its step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    loss: float
    cer: Cer


class Figures(BaseModel):
    """The numbers of a run that are not tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=1)
    losses: tuple[float, ...]  # since the last evaluation
    evaluations: tuple[EvaluationFigures, ...]


class Snapshot(NamedTuple):
    """A run between two steps; the tensors' names start with what they are of, and a point."""

    figures: Figures
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names start with `prefix` and a point, without them."""
        return {
            name.removeprefix(f"{prefix}."): t
            for name, t in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


def run_name(
    network: Network,
    training: Sequence[FramedSession],
    validation: Sequence[FramedSession],
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> str:
    """The SHA-256 of all that decides what `personalize.train.train` makes of `network`."""
    found = hashlib.sha256()
    about = (torch.__version__, device.type, torch.get_num_threads(), network.name, seed)
    found.update(repr(about).encode())
    found.update(recipe.model_dump_json().encode())
    for name, tensor in network.state_dict().items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    trained = [parameter.requires_grad for parameter in network.parameters()]
    found.update(repr((trained, len(training), len(validation))).encode())
    for session in (*training, *validation):
        labels = session.labels
        found.update(repr((session.values.shape, labels.timed, labels.phrases, len(labels.classes))).encode())
        for array in (session.values, session.valid, labels.classes, labels.press_frame):
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def write(folder: Path, name: str, snapshot: Snapshot) -> None:
    """Keep `snapshot` of the run `name`, whole or not at all, in place of an earlier one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in snapshot.tensors.items()}
    content = safetensors_torch.save(tensors, {"figures": snapshot.figures.model_dump_json()})
    write_atomically(folder / f"{name}{_SUFFIX}", content)


def read(folder: Path, name: str) -> Snapshot | None:
    """What was kept of the run `name`; None where that is nothing, or not whole."""
    try:
        with safe_open(folder / f"{name}{_SUFFIX}", framework="pt") as file:
            figures = Figures.model_validate_json((file.metadata() or {}).get("figures", ""))
            return Snapshot(figures, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, ValidationError):
        return None


def kept_steps(folder: Path) -> int:
    """How many steps of training the folder spares those who go on."""
    found = (read(folder, path.name.removesuffix(_SUFFIX)) for path in folder.rglob(f"*{_SUFFIX}"))
    return sum(snapshot.figures.step for snapshot in found if snapshot is not None)


def clear(folder: Path) -> None:
    """Drop what was kept: the runs are done, and so is what they were for."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of an optimiser, named by the number of their parameter."""
    state: Mapping[int, Mapping[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": t for index, moments in state.items() for name, t in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser the moments that `optimizer_tensors` told."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
