"""A network that a microcontroller holds, taught by the person's own best one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edge.store import User
from personalize.fit import personalize_user
from personalize.recipe import Recipe
from personalize.report import FitReport, read_report
from personalize.teacher import Teacher
from personalize.train import Progress


class Distilled(NamedTuple):
    """A model that was taught and kept; `report.teacher` holds its teacher's figures."""

    report: FitReport
    folder: Path


def distill_user(
    user: User, folder: Path, recipe: Recipe, *, seed: int = 0, progress: Progress | None = None
) -> Distilled:
    """Teach the recipe's network by the model in `folder`, and keep it in a new slot of `user`.

    Roles are those of `personalize_user`; the network is not put in use, since the desk has its teacher.
    Raises NotEnoughData, BadInput, TrainingFailed; then nothing was kept.
    """
    teacher = Teacher.of(folder)
    return Distilled(*personalize_user(user, recipe, seed=seed, progress=progress, teacher=teacher))


def newest_pupil(user: User, folder: Path, network: str) -> Path | None:
    """The newest model of kind `network` that the one in `folder` taught; None where there is none yet."""
    for number in reversed(user.slots()):
        slot = user.slot(number)
        report = read_report(slot)
        if report.teacher is not None and (report.teacher.model, report.network) == (folder.name, network):
            return slot
    return None
