"""Running a study: cell after cell, none twice, however often it is stopped and by however many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import NamedTuple

import torch

from edge.files import locked
from personalize.checkpoint import parameter_count
from personalize.features import FramedSession
from personalize.recording import Recording
from personalize.report import CerRecord
from personalize.study import Cell, Result, Results, Setting, TableName, cells, plan
from personalize.study_preprocess import preprocess
from personalize.study_run import EpochDone, Prepared, train_cell


class Recordings(NamedTuple):
    """What a study is made of; training recordings in the order in which cells take more of them."""

    training: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]
    simulated: bool


CellBegins = Callable[[Cell, int, int], None]
"""Told before a cell is trained: its number from 1, and how many there are to do."""


def run_study(
    results: Results,
    setting: Setting,
    tables: Sequence[TableName],
    recordings: Recordings,
    *,
    begins: CellBegins | None = None,
    progress: EpochDone | None = None,
) -> list[str]:
    """Compute what `results` lacks of `tables`; the keys of the cells that other processes are at.

    Raises NotEnoughData, BadSession, TrainingFailed; what is finished is kept then, as it is
    when the process is killed.
    """
    results.begin(plan(setting, tables))
    framed: dict[str, FramedSession] = {}
    wanted = [(key, cell) for key, cell in cells(setting, tables).items() if results.find(key) is None]
    elsewhere = []
    for number, (key, cell) in enumerate(wanted, 1):
        with _held(results, key) as ours:
            if not ours:
                elsewhere.append(key)
            elif results.find(key) is None:  # another process may have finished it meanwhile
                if begins is not None:
                    begins(cell, number, len(wanted))
                _compute(results, setting, key, cell, _prepared(cell, recordings, framed), progress)
    return elsewhere


def setting_of(
    recordings: Recordings, *, epochs: int, steps_fraction: float, seed: int, **recipe: object
) -> Setting:
    """What all cells of a study of `recordings` share; `recipe` is the field of that name."""
    return Setting.model_validate(
        recipe
        | {
            "epochs": epochs,
            "steps_fraction": steps_fraction,
            "seed": seed,
            "data": tuple(recording.identity for recording in recordings.training),
            "validation": tuple(recording.identity for recording in recordings.validation),
            "test": tuple(recording.identity for recording in recordings.test),
            "simulated": recordings.simulated,
        }
    )


@contextmanager
def _held(results: Results, key: str) -> Iterator[bool]:
    """Whether this process has the cell to itself for the block."""
    path = results.path(key, ".lock")
    path.touch()
    try:
        with locked(path):
            yield True
    except BlockingIOError:
        yield False


def _prepared(cell: Cell, recordings: Recordings, framed: dict[str, FramedSession]) -> Prepared:
    def read(wanted: Sequence[Recording]) -> list[FramedSession]:
        for recording in wanted:
            if recording.identity not in framed:
                framed[recording.identity] = FramedSession.of(recording.read(), recording.name)
        return [framed[recording.identity] for recording in wanted]

    training = read(recordings.training[: cell.sessions])
    validation, test = read(recordings.validation), read(recordings.test)
    learnt, judged = preprocess(training, [*validation, *test], cell.preprocessing)
    return Prepared(learnt, judged[: len(validation)], judged[len(validation) :])


def _compute(
    results: Results, setting: Setting, key: str, cell: Cell, prepared: Prepared, progress: EpochDone | None
) -> None:
    checkpoint = results.path(key, ".safetensors")
    trained = train_cell(cell, setting, prepared, checkpoint, progress)
    results.write(
        Result(
            key=key,
            cell=cell,
            setting=setting,
            parameters=parameter_count(trained.network),
            steps=trained.steps,
            epochs=trained.epochs,
            best_epoch=trained.best_epoch,
            test=CerRecord.of(trained.test),
            device=trained.device,
            threads=torch.get_num_threads(),
            version=version("qwrist"),
        )
    )
    checkpoint.unlink(missing_ok=True)
