"""What the reports in a bundle say of it: the few figures that people ask first, and nothing else.

Read leniently: a bundle can be described by a version that knows its reports a little better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.documents import first_fault
from edge.errors import BadInput

_M = TypeVar("_M", bound=BaseModel)


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Cer(_Read):
    """A character error rate with its parts."""

    percent: float
    insertions: int
    deletions: int
    substitutions: int
    length: int


class Part(_Read):
    """A stretch of a recording and what it was used for."""

    role: Literal["train", "validation", "test"]
    minutes: float


class Teacher(_Read):
    """The network that taught this one."""

    network: str
    parameters: int
    test: Cer


class Fit(_Read):
    """report.json: what the network was made of and what came of it."""

    network: str
    start: str
    parameters: int
    simulated: bool
    parts: tuple[Part, ...]
    validation: Cer
    test_before: Cer | None
    test: Cer
    teacher: Teacher | None = None

    def minutes(self, role: str) -> float:
        """How many minutes had `role`."""
        return sum(part.minutes for part in self.parts if part.role == role)


class Compared(_Read):
    """One golden through one runtime."""

    golden: str
    max_delta: float
    cosine: float
    agreement: float
    identical_text: bool
    cer_runtime: float | None = None
    cer_reference: float | None = None


class RuntimeFigures(_Read):
    """One artifact in one runtime."""

    runtime: str
    file: str | None
    figures: tuple[Compared, ...]

    @property
    def typing(self) -> Compared | None:
        """The golden whose text is known; else the first."""
        known = (one for one in self.figures if one.cer_runtime is not None)
        return next(known, self.figures[0] if self.figures else None)


class Parity(_Read):
    """parity.json: what each artifact was found to say."""

    runtimes: tuple[RuntimeFigures, ...] = ()

    def of(self, file: str) -> RuntimeFigures | None:
        """The figures of an artifact, in the first runtime that ran it."""
        return next((one for one in self.runtimes if one.file == file), None)


class Reports(_Read):
    """All of them; None where a bundle has none."""

    fit: Fit | None = None
    parity: Parity | None = None


def read_reports(contents: Mapping[str, bytes]) -> Reports:
    """From the files of a bundle. Raises BadInput for one that is no such report."""
    return Reports(
        fit=_read(Fit, contents, "report.json"),
        parity=_read(Parity, contents, "parity.json"),
    )


def _read(kind: type[_M], contents: Mapping[str, bytes], name: str) -> _M | None:
    if name not in contents:
        return None
    try:
        return kind.model_validate_json(contents[name])
    except ValidationError as error:
        raise BadInput(
            f"{name} is not a report ({first_fault(error)}); export again: qwrist export"
        ) from None
