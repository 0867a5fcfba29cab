"""parity.json: what each artifact of a folder was found to say, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from edge.documents import read_json
from edge.files import write_atomically
from edge.manifest import Precision, Takes
from export.parity.thresholds import Thresholds

FILE_NAME: Final = "parity.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Figures(_Record):
    """One golden, or several together, through one runtime, against the reference."""

    golden: str
    emissions: int
    said_by_reference: int  # keys that the reference decodes
    spoken: int  # emissions that are not blank on either side
    max_delta: float
    rms_delta: float
    sum_error: float  # of the runtime's emissions as distributions
    max_delta_whole: float | None = None  # against one pass over it all, where chunks must change nothing
    cosine: float  # NaN where nothing is spoken
    cosine_min: float
    agreement: float
    identical_text: bool
    cer_reference: float | None = None  # percent; None where it is not known what was typed
    cer_runtime: float | None = None
    cer_whole_window: float | None = None  # of the reference in whole windows, where this one reads less
    faults: tuple[str, ...] = ()  # what is beyond a limit, in words

    def failures(self) -> tuple[str, ...]:
        """What is wrong, and on what."""
        return tuple(f"on {self.golden}: {fault}" for fault in self.faults)


class RuntimeParity(_Record):
    """One artifact in one runtime, over all goldens."""

    runtime: str  # what ran it: "LiteRT", "ExecuTorch, own process", "ONNX Runtime"
    file: str | None  # None where nothing was exported: ONNX Runtime runs the network itself
    sha256: str | None
    precision: Precision
    takes: Takes
    chunk_frames: int
    lookahead_frames: int
    whole_window: bool
    figures: tuple[Figures, ...]
    disturbed: Figures | None = None  # all but the typing together, where an artifact is int8
    departs: str | None = None  # the first stage that departs, where it fails

    def failures(self) -> tuple[str, ...]:
        """What is wrong; also that nothing was compared."""
        if not self.figures:
            return ("nothing was compared",)
        together = () if self.disturbed is None else (self.disturbed,)
        found = [failure for figures in (*self.figures, *together) for failure in figures.failures()]
        if found and self.departs is not None:
            found.append(f"first to depart: {self.departs}")
        return tuple(found)


class StageFigures(_Record):
    """A stage of the front end of one golden against a second opinion."""

    golden: str
    stage: Literal["filter", "frames", "normalize"]
    against: Literal["matrices", "bundle"]  # the front end as matrices; or what lies in the bundle
    max_delta: float
    p99: float
    faults: tuple[str, ...] = ()


class ParityReport(_Record):
    """parity.json."""

    schema_version: Literal[2] = 2
    network: str
    simulated: bool  # no figure of it is a person's
    thresholds: Thresholds
    stages: tuple[StageFigures, ...] = ()
    runtimes: tuple[RuntimeParity, ...]

    def failures(self) -> tuple[str, ...]:
        """What is wrong, over all runtimes; also that none was run."""
        if not self.runtimes:
            return ("nothing was compared",)
        return tuple(self._failures())

    def _failures(self) -> Iterator[str]:
        for stage in self.stages:
            yield from (f"{stage.stage} on {stage.golden}: {fault}" for fault in stage.faults)
        for parity in self.runtimes:
            name = parity.runtime if parity.file is None else f"{parity.file} in {parity.runtime}"
            yield from (f"{name} {failure}" for failure in parity.failures())


COLUMNS: Final = ("artifact", "runtime", "golden", "max |Δ log p|", "cosine", "agree", "text", "CER", "")


def rows(report: ParityReport) -> list[tuple[str, ...]]:
    """A line of text an artifact, runtime and golden, under COLUMNS: for a table."""
    found = []
    for parity in report.runtimes:
        together = () if parity.disturbed is None else (parity.disturbed,)
        for figures in (*parity.figures, *together):
            found.append((_artifact(parity), parity.runtime, figures.golden, *_cells(figures)))
    return found


SUMMARY_COLUMNS: Final = ("artifact", "in", "max Δ", "agree", "text", "CER", "")


def summary(report: ParityReport) -> list[tuple[str, ...]]:
    """A line of text an artifact and runtime, under SUMMARY_COLUMNS: the worst difference, the typing."""
    found: list[tuple[str, ...]] = []
    for parity in report.runtimes:
        typing = next((one for one in parity.figures if one.cer_runtime is not None), parity.figures[0])
        same = sum(one.identical_text for one in parity.figures)
        found.append(
            (
                parity.file or "the network",
                parity.runtime,
                f"{max(one.max_delta for one in parity.figures):.1e}",
                _cells(typing)[2],
                f"{same} of {len(parity.figures)}",
                _cer(typing),
                "FAILED" if parity.failures() else "",
            )
        )
    return found


def _artifact(parity: RuntimeParity) -> str:
    return f"{parity.file or 'network'} {parity.precision}"


def _cells(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.max_delta:.1e}",
        "-" if figures.spoken == 0 else f"{figures.cosine:.4f}",
        "-" if figures.spoken == 0 else f"{100 * figures.agreement:.1f} %",
        "identical" if figures.identical_text else "differs",
        _cer(figures),
        "FAILED" if figures.faults else "",
    )


def _cer(figures: Figures) -> str:
    if figures.cer_runtime is None or figures.cer_reference is None:
        return "-"
    text = f"{figures.cer_runtime:.1f} % ({figures.cer_runtime - figures.cer_reference:+.1f})"
    if figures.cer_whole_window is None:
        return text
    return f"{text}, whole windows {figures.cer_whole_window:.1f} %"


def write_report(folder: Path, report: ParityReport) -> None:
    """Write parity.json into `folder`, whole or not at all."""
    write_atomically(folder / FILE_NAME, report.model_dump_json(indent=1).encode())


def read_report(folder: Path) -> ParityReport:
    """Read parity.json of `folder`. Raises BadInput."""
    return read_json(ParityReport, folder / FILE_NAME, "a parity report of schema 2", "run: qwrist export")
