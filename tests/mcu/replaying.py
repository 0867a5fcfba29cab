"""The file that tests/mcu/firmware/replay.c reads, and the one that it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.charset import CHARSET
from edge.features import BINS, Frames
from edge.manifest import Normalization
from edge.samples import ELECTRODES, WRISTS, Bool, Float32

_INTEGERS: Final = ("kind", "filtered", "normalized", "count", "piece")
_REALS: Final = ("uv_per_lsb", "prior_frames", "horizon_frames")
_REQUEST: Final = np.dtype([(name, "<i4") for name in _INTEGERS] + [(name, "<f4") for name in _REALS])
_ARRAY: Final = ("<f4", (WRISTS, ELECTRODES, BINS))
_FRAME: Final = np.dtype([("values", *_ARRAY), ("valid", "u1", 4), ("input", *_ARRAY)])
_SAID: Final = np.dtype([("label", "<i4"), ("action", "<i4"), ("character", "<i4")])
_MEASURED: Final = np.dtype([(name, "<u4") for name in ("frames", "front", "norm", "stack")])

Run = Callable[[Path], None]
"""Runs the program in a folder with input.bin in it; output.bin is there afterwards."""


class Measured(NamedTuple):
    """What a board counted; zeros on a computer. Instructions are of all frames."""

    frames: int
    front_instructions: int
    norm_instructions: int
    stack_bytes: int


class Replayed(NamedTuple):
    """What edge/c made of samples."""

    frames: Frames
    network_input: Float32  # (T, W, E, F)
    measured: Measured


class Said(NamedTuple):
    """What edge/c made of emissions: labels that were said, and the text that its keystrokes leave behind."""

    labels: list[int]
    text: str


def replay(
    run: Run,
    folder: Path,
    samples: Float32 | npt.NDArray[np.int16],
    valid: Bool,
    *,
    uv_per_lsb: float = 1.0,
    filtered: bool = False,
    norm: Normalization | None = None,
    piece: int = 64,
) -> Replayed:
    """(T, W, E) samples, microvolts or int16, through the front end and the normalisation of edge/c."""
    request = np.zeros((), _REQUEST)
    request["kind"] = samples.dtype == np.int16
    request["filtered"], request["normalized"] = filtered, norm is not None
    request["count"], request["piece"], request["uv_per_lsb"] = len(samples), piece, uv_per_lsb
    parts = []
    if norm is not None:
        request["prior_frames"], request["horizon_frames"] = norm.prior_frames, norm.horizon_frames
        parts += [array.astype("<f4").tobytes() for array in norm.prior]
    for start in range(0, len(samples), piece):
        stop = start + piece
        parts += [samples[start:stop].tobytes(), valid[start:stop].astype(np.uint8).tobytes()]
    content, measured = _answer(run, folder, b"".join([request.tobytes(), *parts]))
    rows = np.frombuffer(content, _FRAME)
    frames = Frames(rows["values"], rows["valid"][:, :WRISTS] != 0)
    return Replayed(frames, rows["input"], measured)


def decode(run: Run, folder: Path, log_probs: Float32) -> Said:
    """(T, K) emissions through the greedy decoder and the text edits of edge/c."""
    request = np.zeros((), _REQUEST)
    request["kind"], request["count"] = 2, len(log_probs)
    content, _ = _answer(run, folder, request.tobytes() + log_probs.astype("<f4").tobytes())
    rows = np.frombuffer(content, _SAID)
    text = ""
    for _, action, character in rows.tolist():
        text = text[:-1] if action == 2 else text + chr(character) if action == 1 else text
    return Said([label for label in rows["label"].tolist() if 0 <= label < CHARSET.blank], text)


def _answer(run: Run, folder: Path, content: bytes) -> tuple[bytes, Measured]:
    (folder / "input.bin").write_bytes(content)
    run(folder)
    output = (folder / "output.bin").read_bytes()
    cut = len(output) - _MEASURED.itemsize
    return output[:cut], Measured(*np.frombuffer(output[cut:], _MEASURED)[0].tolist())
