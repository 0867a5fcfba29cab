"""report.json: what a personalisation was made of and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from edge.documents import read_json
from edge.files import write_atomically
from edge.roll import STRAIGHT, Turns
from edge.scoring import Cer
from personalize.recipe import Recipe, Start
from personalize.splits import Role

FILE_NAME = "report.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CerRecord(_Record):
    """A character error rate with its parts."""

    percent: float
    insertions: int
    deletions: int
    substitutions: int
    length: int

    @classmethod
    def of(cls, cer: Cer) -> Self:
        """From the counts."""
        return cls(percent=round(cer.percent, 3), **cer._asdict())


class PartRecord(_Record):
    """A stretch of a recording and what it was used for."""

    session: str
    role: Role
    start_s: float
    minutes: float
    labels: int
    turned: Turns = STRAIGHT  # how its electrodes were rolled; all but what a touch-up is made of is as worn


class EvaluationRecord(_Record):
    """The validation figure at a step."""

    step: int
    loss: float
    validation_cer_percent: float


class TeacherRecord(_Record):
    """The model that taught the one reported on: its folder in the user's store, and its own figures."""

    model: str
    network: str
    parameters: int
    validation: CerRecord
    test: CerRecord


class BaseRecord(_Record):
    """The base that training started from."""

    sha256: str  # of its weights
    command: str  # what made it
    met: tuple[str, ...]  # whom of those recorded here it was made of

    @property
    def leak(self) -> str | None:
        """What must be said beside every figure where it was made of the person it is now fitted to."""
        if not self.met:
            return None
        return (
            f"the base was made of recordings of {', '.join(self.met)}: if the test is one of them, "
            "its CER is of what training has seen"
        )


class AlignmentRecord(_Record):
    """One round of finding when the keys of prompts were typed, where no keyboard told."""

    prompts: int  # of the training recordings
    usable: int  # of them: their keys were found; the others are trained with CTC alone
    moved: float  # share of the keys found elsewhere than in the round before; 1 in the first
    validation_cer_percent: float  # of the network that found them


class GateRecord(_Record):
    """Why the model was put in use, or was not."""

    reason: str
    stretches: int  # of the test recording, compared one by one
    probability: float | None  # that it is better than the model in use before; None: not comparable


class TouchUpRecord(_Record):
    """What the sentences of a new donning brought, each read by a network that was trained on the others."""

    session: str  # they are in
    sentences: int
    folds: int
    before: CerRecord  # the model in use, on the sentences
    after: CerRecord
    lost_points: float  # of CER on the test recording of the donnings before


class OutlookRecord(_Record):
    """What more recordings would bring, by simulated wearers' learning curve (personalize.minutes)."""

    minutes: float  # more of them
    points: float  # of CER

    @property
    def text(self) -> str:
        """In a sentence, without its end."""
        return (
            f"{self.minutes:.0f} more minutes of typing: about {self.points:.1f} points better "
            "(simulated wearers' curve)"
        )


class FitReport(_Record):
    """One run of `personalize`. The test recording chose nothing of the model, only whether it is used."""

    user: str
    network: str
    start: Start
    recipe: Recipe
    seed: int
    simulated: bool  # made from simulated recordings: no figure here is a person's
    parts: tuple[PartRecord, ...]
    parameters: int
    steps: int
    best_step: int
    evaluations: tuple[EvaluationRecord, ...]
    validation: CerRecord
    test_before: CerRecord | None  # the network it started from; None from scratch
    test: CerRecord
    promoted: bool  # to the model in use
    wall_time_s: float
    current_validation: CerRecord | None = None  # in reports of before the gate; now `current_test` is judged
    current_test: CerRecord | None = None  # the model in use before, if any, on the stretches compared
    findings: tuple[str, ...] = ()  # what is wrong with the recordings and did not stop training
    gate: GateRecord | None = None  # None in reports of before the gate
    teacher: TeacherRecord | None = None
    alignment: tuple[AlignmentRecord, ...] = ()  # its rounds; none where a keyboard told every press
    picked_by_minutes: bool = False  # the recipe's way, steps and rate are those for this many minutes
    touch_up: TouchUpRecord | None = None  # where it was one: `validation` is then the cross-validation's
    outlook: OutlookRecord | None = None  # None where the curve says nothing
    base: BaseRecord | None = None  # None from elsewhere, and in reports of before it was recorded

    def minutes(self, role: Role) -> float:
        """How many minutes of recordings had `role`."""
        return sum(part.minutes for part in self.parts if part.role == role)


def write_report(folder: Path, report: FitReport) -> None:
    """Write report.json into `folder`."""
    write_atomically(folder / FILE_NAME, report.model_dump_json(indent=1).encode())


def read_report(folder: Path) -> FitReport:
    """Read report.json of a model's folder. Raises BadInput where it is missing or damaged."""
    what = "a personalisation's report"
    return read_json(FitReport, folder / FILE_NAME, what, "name a folder that personalize wrote")
