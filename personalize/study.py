"""The study: the seed paper's two tables and one of preprocessing, as cells that are computed once each.

A cell is a network trained on some recordings in some way; its key is a hash of all that decides it, so that
tables share cells and a result is never taken for another's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.documents import read_json
from edge.files import made_folder, write_atomically
from personalize.recipe import Recipe
from personalize.report import CerRecord
from personalize.study_preprocess import Preprocessing

PLAN: Final = "plan.json"
_CELLS: Final = "cells"
_KEY_DIGITS: Final = 16  # 64 bits: enough to tell some dozens of cells apart

_SESSIONS: Final = 13  # what the paper settled on
NetworkName = Literal["tds", "tds_spatial", "spatial_lstm"]
NETWORKS: Final[tuple[NetworkName, ...]] = ("tds", "tds_spatial", "spatial_lstm")
VARIANTS: Final = (
    Preprocessing(),
    Preprocessing(bins=6),
    Preprocessing(normalization="running"),
    Preprocessing(hop_samples=32),
)

TableName = Literal["sessions", "architectures", "preprocessing"]
TABLES: Final[tuple[TableName, ...]] = ("sessions", "architectures", "preprocessing")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Record):
    """One training: what varies within the study."""

    network: NetworkName
    sessions: int = Field(ge=1)  # recordings to train on
    preprocessing: Preprocessing = Preprocessing()

    @model_validator(mode="after")
    def _delay_is_counted_in_frames(self) -> Self:
        if self.preprocessing.hop_samples != 16 and self.network != "spatial_lstm":
            raise ValueError(f"{self.network} has a label delay of frames at 125/s; use spatial_lstm")
        return self


class Setting(_Record):
    """What all cells of a study share."""

    recipe: Recipe  # its network and number of steps do not count: cells and epochs decide
    epochs: int = Field(ge=1)
    steps_fraction: float = Field(gt=0, le=1)  # of each epoch's batches
    seed: int = Field(ge=0)
    data: tuple[str, ...]  # what identifies each training recording, in the order they are added
    validation: tuple[str, ...]
    test: tuple[str, ...]
    simulated: bool

    def key(self, cell: Cell) -> str:
        """The cell's name in the results: a hash of everything that decides them."""
        shared = self.model_dump(mode="json", exclude={"recipe": {"network", "steps", "name", "evaluations"}})
        shared["data"] = shared["data"][: cell.sessions]
        text = json.dumps([cell.model_dump(mode="json"), shared], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


class Epoch(_Record):
    """What came of an epoch."""

    loss: float
    validation_cer_percent: float
    train_s: float  # wall clock
    validate_s: float


class Result(_Record):
    """A finished cell."""

    key: str
    cell: Cell
    setting: Setting
    parameters: int
    steps: int
    epochs: tuple[Epoch, ...]
    best_epoch: int  # from 1, by validation; the earliest of the best
    test: CerRecord  # of the best epoch's weights
    device: str
    threads: int
    version: str  # of qwrist

    @property
    def train_minutes(self) -> float:
        """Of training alone."""
        return sum(epoch.train_s for epoch in self.epochs) / 60


class Published(NamedTuple):
    """What the paper says of a cell."""

    cer_percent: float | None = None
    minutes: float | None = None


_NOTHING: Final = Published()


class Row(NamedTuple):
    """A row of a table: its name, its cell and the paper's figures."""

    name: str
    cell: Cell
    published: Published


class Plan(_Record):
    """plan.json: what a study is made of, and which result is which."""

    setting: Setting
    tables: dict[TableName, dict[str, str]]  # row -> key


def rows(table: TableName, sessions: int) -> list[Row]:
    """The rows of a table; where the data have fewer `sessions`, those, and no published figure beside."""
    match table:
        case "sessions":  # Table 1; minutes on a Colab GPU
            figures = {11: Published(58.266, 21), 13: Published(33.888, 30), 16: Published(29.976, 52)}
            counts = dict.fromkeys(min(count, sessions) for count in figures)
            return [Row(_count(n), Cell(network="tds", sessions=n), figures.get(n, _NOTHING)) for n in counts]
        case "architectures":  # Table 2
            return [_of_network(name, sessions) for name in NETWORKS]
        case "preprocessing":  # ours: the paper has none
            return [_of_preprocessing(variant, sessions) for variant in VARIANTS]


def _count(sessions: int) -> str:
    return "1 recording" if sessions == 1 else f"{sessions} recordings"


def _of_network(name: NetworkName, sessions: int) -> Row:
    published = {"tds": 33.888, "tds_spatial": 26.852, "spatial_lstm": 24.388}[name]
    known = Published(published) if sessions >= _SESSIONS else _NOTHING
    return Row(name, Cell(network=name, sessions=min(_SESSIONS, sessions)), known)


def _of_preprocessing(variant: Preprocessing, sessions: int) -> Row:
    row = _of_network("spatial_lstm", sessions)
    published = row.published if variant == Preprocessing() else _NOTHING
    return Row(variant.name, row.cell.model_copy(update={"preprocessing": variant}), published)


def plan(setting: Setting, tables: Sequence[TableName]) -> Plan:
    """Which results the tables need."""
    found = {
        table: {row.name: setting.key(row.cell) for row in rows(table, len(setting.data))} for table in tables
    }
    return Plan(setting=setting, tables=found)


def cells(setting: Setting, tables: Sequence[TableName]) -> dict[str, Cell]:
    """The cells of the tables by key, each once, in the order they are met."""
    return {setting.key(row.cell): row.cell for table in tables for row in rows(table, len(setting.data))}


class Results:
    """The folder of a study: plan.json, and a file a finished cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, plan: Plan) -> None:
        """Make the folder and write the plan."""
        made_folder(self.folder / _CELLS)
        write_atomically(self.folder / PLAN, (plan.model_dump_json(indent=1) + "\n").encode())

    def path(self, key: str, suffix: str = ".json") -> Path:
        """Where a cell's result is, or what is kept until it is finished."""
        return self.folder / _CELLS / f"{key}{suffix}"

    def find(self, key: str) -> Result | None:
        """A finished cell's result, None where there is none. Raises BadInput for a damaged one."""
        path = self.path(key)
        if not path.is_file():
            return None
        return read_json(Result, path, "a result of qwrist study", "remove it, and it is computed again")

    def write(self, result: Result) -> None:
        """Keep a finished cell's result, whole or not at all."""
        content = result.model_dump_json(indent=1) + "\n"
        write_atomically(self.path(result.key), content.encode())
