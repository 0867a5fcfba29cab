"""Goldens as files: golden/index.json, and a little-endian .bin a tensor (docs/formats/parity.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from edge.charset import CHARSET
from edge.documents import read_json
from edge.edits import text_of
from edge.errors import BadInput
from edge.files import write_atomically
from edge.manifest import ModelManifest
from edge.samples import RATE_HZ
from export.golden.desk import Cut, Golden, Reading, Stages, listen
from export.golden.scenarios import UV_PER_LSB, Scenario
from personalize.labels import Labels, Phrase

FOLDER: Final = "golden"
INDEX: Final = "index.json"
_ADVICE: Final = "export again: qwrist export"

Dtype = Literal["int16", "uint8", "float32"]
Stage = Literal["samples", "valid", "filtered", "log_power", "frame_valid", "network_input"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorFile(_Record):
    """One tensor: row-major, little-endian, nothing else in the file."""

    file: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*\.bin$")
    dtype: Dtype
    shape: tuple[int, ...]


class EmissionsFile(_Record):
    """What the desk says: log-probabilities, and what they decode to."""

    chunk_frames: int  # 0: the same in chunks of any length
    lookahead_frames: int
    whole_window: bool
    log_probs: TensorFile
    keys: tuple[str, ...]  # names of the charset, in order
    text: str  # what is left standing when they are typed


class PhraseEntry(_Record):
    """What was typed between two times, in frames from the first sample."""

    start_frame: float
    end_frame: float
    classes: tuple[int, ...]


class LabelsEntry(_Record):
    """What was really typed."""

    timed: bool
    classes: tuple[int, ...]
    press_frame: tuple[float, ...]
    phrases: tuple[PhraseEntry, ...]


class ScenarioEntry(_Record):
    """One scenario: where its tensors are, by stage, and what it is there to show."""

    name: str
    tells: str
    resets: tuple[int, ...]  # samples before which every state is put back to its start
    disturbed: bool
    stages: dict[Stage, TensorFile]
    emissions: tuple[EmissionsFile, ...]
    labels: LabelsEntry | None


class Index(_Record):
    """golden/index.json."""

    schema_version: Literal[1] = 1
    rate_hz: int = RATE_HZ
    uv_per_lsb: float = UV_PER_LSB
    charset_sha256: str = CHARSET.sha256
    stride: int
    scenarios: tuple[ScenarioEntry, ...]


class Stored(NamedTuple):
    """A golden from files: as this version's front end makes it, and the stages as they were written."""

    golden: Golden
    written: Stages


def write_goldens(folder: Path, goldens: Sequence[Golden], manifest: ModelManifest) -> list[Path]:
    """Write golden/ into `folder`: index.json and the tensors. Gives the files, the index last."""
    where = folder / FOLDER
    where.mkdir(exist_ok=True)
    files: list[Path] = []

    def put(name: str, array: npt.NDArray[Any]) -> TensorFile:
        path = where / f"{name}.bin"
        write_atomically(path, array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        files.append(path)
        return TensorFile.model_validate({"file": path.name, "dtype": array.dtype.name, "shape": array.shape})

    entries = []
    for golden in goldens:
        scenario, stages = golden.scenario, golden.stages
        arrays: dict[Stage, npt.NDArray[Any]] = {
            "samples": scenario.counts,
            "valid": scenario.valid.astype(np.uint8),
            "filtered": stages.filtered,
            "log_power": stages.log_power,
            "frame_valid": stages.frame_valid.astype(np.uint8),
            "network_input": stages.network_input,
        }
        entries.append(
            ScenarioEntry(
                name=golden.name,
                tells=scenario.tells,
                resets=scenario.resets,
                disturbed=scenario.disturbed,
                stages={stage: put(f"{golden.name}.{stage}", array) for stage, array in arrays.items()},
                emissions=tuple(
                    _emissions(
                        golden, reading, manifest, put(_emissions_name(golden, reading), reading.log_probs)
                    )
                    for reading in golden.readings
                ),
                labels=None if scenario.labels is None else _labels_entry(scenario.labels),
            )
        )
    index = Index(stride=manifest.stride, scenarios=tuple(entries))
    write_atomically(where / INDEX, index.model_dump_json(indent=1).encode())
    return [*files, where / INDEX]


def read_goldens(folder: Path, manifest: ModelManifest) -> tuple[Stored, ...]:
    """Read golden/ of a bundle. Raises BadInput where it is missing, damaged or another model's."""
    where = folder / FOLDER
    index = read_json(Index, where / INDEX, "an index of golden vectors, schema 1", _ADVICE)
    for name, found, expected in (
        ("uv_per_lsb", index.uv_per_lsb, UV_PER_LSB),
        ("rate_hz", index.rate_hz, RATE_HZ),
        ("charset_sha256", index.charset_sha256, CHARSET.sha256),
        ("stride", index.stride, manifest.stride),
    ):
        if found != expected:
            raise BadInput(f"{where / INDEX} has {name} {found}, this model {expected}; {_ADVICE}")
    return tuple(_read(where, entry, manifest) for entry in index.scenarios)


def _read(where: Path, entry: ScenarioEntry, manifest: ModelManifest) -> Stored:
    arrays = {stage: _load(where, tensor) for stage, tensor in entry.stages.items()}
    missing = {"samples", "valid", "filtered", "log_power", "frame_valid", "network_input"} - set(arrays)
    if missing:
        raise BadInput(f"{where / INDEX} lists no {', '.join(sorted(missing))} of {entry.name}; {_ADVICE}")
    scenario = Scenario(
        entry.name,
        entry.tells,
        arrays["samples"],
        arrays["valid"].astype(np.bool_),
        entry.resets,
        None if entry.labels is None else _labels(entry.labels),
        entry.disturbed,
    )
    readings = tuple(
        Reading(
            Cut(said.chunk_frames, said.lookahead_frames, said.whole_window), _load(where, said.log_probs)
        )
        for said in entry.emissions
    )
    written = Stages(
        arrays["filtered"],
        arrays["log_power"],
        arrays["frame_valid"].astype(np.bool_),
        arrays["network_input"],
    )
    return Stored(listen(scenario, manifest)._replace(readings=readings), written)


def _load(where: Path, tensor: TensorFile) -> npt.NDArray[Any]:
    path = where / tensor.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); {_ADVICE}") from None
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    expected = int(np.prod(tensor.shape, dtype=np.int64)) * dtype.itemsize
    if len(content) != expected:
        raise BadInput(
            f"{path} holds {len(content)} bytes, {tensor.shape} {tensor.dtype} is {expected}; {_ADVICE}"
        )
    return np.frombuffer(content, dtype).reshape(tensor.shape).astype(tensor.dtype)


def _emissions_name(golden: Golden, reading: Reading) -> str:
    cut = reading.cut
    if cut.whole_window:
        return f"{golden.name}.emissions_window_{cut.chunk_frames}"
    return f"{golden.name}.emissions" + (
        f"_{cut.chunk_frames}_{cut.lookahead_frames}" if cut.lookahead_frames else ""
    )


def _emissions(
    golden: Golden, reading: Reading, manifest: ModelManifest, tensor: TensorFile
) -> EmissionsFile:
    labels = golden.text(reading.log_probs, reading.cut.lookahead_frames, manifest.stride)
    return EmissionsFile(
        **reading.cut._asdict(),
        log_probs=tensor,
        keys=tuple(CHARSET.keys[label] for label in labels),
        text=text_of(labels),
    )


def _labels_entry(labels: Labels) -> LabelsEntry:
    return LabelsEntry(
        timed=labels.timed,
        classes=tuple(labels.classes.tolist()),
        press_frame=tuple(labels.press_frame.tolist()),
        phrases=tuple(PhraseEntry(**phrase._asdict()) for phrase in labels.phrases),
    )


def _labels(entry: LabelsEntry) -> Labels:
    return Labels(
        entry.timed,
        np.array(entry.classes, np.int64),
        np.array(entry.press_frame, np.float64),
        tuple(Phrase(phrase.start_frame, phrase.end_frame, phrase.classes) for phrase in entry.phrases),
    )
