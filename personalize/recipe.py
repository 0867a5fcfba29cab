"""Recipes: everything that decides how a network is trained, as a file with units and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edge.errors import BadInput

Start = Literal["base", "scratch", "current"]
Way = Literal["full", "last", "adapters", "norm"]
"""Which weights training may change (personalize.ways)."""

_PACKAGE = "configs"
_OTHER_SETTINGS = frozenset({"parity", "targets"})  # lie beside the recipes; export reads them
_PICKED = frozenset({"way", "steps", "learning_rate"})  # by `by_minutes`


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Align(_Record):
    """The keystroke-aligned frame loss, where key times are known."""

    early_weight: float = Field(ge=0, le=1)
    early_fraction: float = Field(ge=0, le=1)
    late_weight: float = Field(ge=0, le=1)
    emissions: int = Field(ge=1)
    blank_weight: float = Field(gt=0)
    scale: float = Field(gt=0)


class Distill(_Record):
    """How much a teacher's emissions count, where there is a teacher."""

    weight: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)
    blank_weight: float = Field(gt=0)


class Augmentation(_Record):
    """What is varied from window to window."""

    rotation_electrodes: float = Field(ge=0, le=8)
    jitter_s: float = Field(ge=0)
    time_masks: int = Field(ge=0)
    time_mask_s: float = Field(ge=0)
    frequency_masks: int = Field(ge=0)
    frequency_mask_bins: int = Field(ge=0, le=33)
    electrode_masks: int = Field(0, ge=0)
    electrode_mask_width: int = Field(0, ge=0, le=16)


class FromMinutes(_Record):
    """What replaces the recipe's own, from so many minutes of recordings to train on."""

    minutes: float = Field(gt=0)
    way: Way
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


class Recipe(_Record):
    """A training run, apart from the data and the seed. The files in configs/ explain each number."""

    name: str
    network: str
    start: Start
    way: Way = "full"
    steps: int = Field(ge=1)
    batch_windows: int = Field(ge=1)
    evaluations: int = Field(ge=1)
    window_s: float = Field(gt=0)
    warmup_s: float = Field(ge=0)
    after_s: float = Field(ge=0)
    learning_rate: float = Field(gt=0)
    warmup_fraction: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    beta2: float = Field(gt=0, lt=1)
    gradient_norm: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    average_decay: float = Field(
        0.0, ge=0, lt=1
    )  # of the moving average of weights; 0: the weights themselves
    bfloat16: bool = False  # products in half the bits; sums, losses and weights stay in float32
    align: Align | None
    distill: Distill | None = None  # what a recipe without a teacher need not say
    augment: Augmentation
    by_minutes: tuple[FromMinutes, ...] = ()  # with more and more recordings; the last that fits counts

    @field_validator("by_minutes")
    @classmethod
    def _ascending(cls, rows: tuple[FromMinutes, ...]) -> tuple[FromMinutes, ...]:
        if any(later.minutes <= row.minutes for row, later in pairwise(rows)):
            raise ValueError("their minutes must ascend")
        return rows

    @field_validator("network")
    @classmethod
    def _known_network(cls, name: str) -> str:
        # Written out, for the list itself needs torch; a test compares them.
        known = ("streaming", "micro", "spatial_lstm", "tds", "tds_spatial")
        if name not in known:
            raise ValueError(f"there is no network {name!r}; choose one of {', '.join(known)}")
        return name


def names() -> list[str]:
    """The recipes that come with qwrist."""
    files = resources.files(_PACKAGE).iterdir()
    found = {file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")}
    return sorted(found - _OTHER_SETTINGS)


def path(name: str) -> Path:
    """Where the recipe `name` of qwrist lies. Raises BadInput for an unknown name."""
    if name not in names():
        raise BadInput(
            f"there is no recipe {name!r}; choose one of {', '.join(names())}, or name a .yaml file"
        )
    return Path(str(resources.files(_PACKAGE).joinpath(f"{name}.yaml")))


def load(path_or_name: str | Path) -> Recipe:
    """Read and validate a recipe: a name from `names()`, or a .yaml file. Raises BadInput."""
    named = isinstance(path_or_name, str) and not path_or_name.endswith((".yaml", ".yml"))
    file = path(str(path_or_name)) if named else Path(path_or_name)
    try:
        return Recipe.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}; see: qwrist configs ls") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{file} is not a recipe: {where}: {first['msg']}; start from: qwrist configs cp"
        ) from None


def for_minutes(recipe: Recipe, minutes: float) -> Recipe:
    """`recipe` as it is with so many minutes to train on: nothing in it is left to pick."""
    fitting = [row for row in recipe.by_minutes if row.minutes <= minutes]
    picked = fitting[-1].model_dump(exclude={"minutes"}) if fitting else {}
    return override(recipe, {**picked, "by_minutes": ()})


def override(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """`recipe` with `changes` to its fields, validated as a file would be. Raises BadInput.

    Who names what `by_minutes` picks does the picking: its rows are dropped.
    """
    rows = () if _PICKED & changes.keys() else recipe.by_minutes
    try:
        return Recipe.model_validate({**recipe.model_dump(), "by_minutes": rows, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
