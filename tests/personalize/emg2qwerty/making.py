"""Downloads in emg2qwerty's layout: its labels where they are at hand, its names, signals of nobody."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from edge.samples import RATE_HZ
from personalize.emg2qwerty.splits import PAPER_TEST, PAPER_TRAINING, PAPER_USER, PAPER_VALIDATION
from tests.edge.making import shared_data

DTYPE = [("time", "<f8"), ("emg_left", "<f4", (16,)), ("emg_right", "<f4", (16,))]
COLUMNS = ("session", "user", "duration_mins", "num_keystrokes", "num_prompts", "quality_check_tags")
PAPER_STARTS = (*PAPER_TRAINING, PAPER_VALIDATION, PAPER_TEST)

Key = tuple[str, float, float]
"""Name, press and hold, seconds from the start of the recording."""


def name_of(start: int) -> str:
    return f"2021-06-02-{start}-keystrokes-dca-study@1-test"


def real_keys(start: int, until_s: float) -> list[Key]:
    """What the paper's person really typed; the test is skipped where the log is not at hand."""
    with gzip.open(shared_data("typing/user89335547_keystrokes.csv.gz"), "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["ses"] == str(start)]
    keys = [(row["key"], float(row["onset"]), float(row["duration"])) for row in rows]
    return [key for key in keys if key[1] + key[2] < until_s]


def write_recording(
    folder: Path,
    start: int,
    *,
    user: str = PAPER_USER,
    keys: Sequence[Key] = (("h", 0.1, 0.1), ("i", 0.3, 0.1)),
    emg: np.ndarray | None = None,
    session_name: str | None = None,
) -> Path:
    """One file: `emg` (T, 2, 16) or a second of noise."""
    if emg is None:
        emg = np.random.default_rng(start).normal(0, 20, (RATE_HZ, 2, 16))
    records = np.zeros(len(emg), DTYPE)
    records["time"] = start + np.arange(len(emg)) / RATE_HZ
    records["emg_left"], records["emg_right"] = emg[:, 0], emg[:, 1]
    path = folder / f"{name_of(start)}.hdf5"
    with h5py.File(path, "w") as file:
        group = file.create_group("emg2qwerty")
        group.create_dataset("timeseries", data=records)
        group.attrs["session_name"] = session_name or name_of(start)
        group.attrs["user"] = user
        group.attrs["condition"] = "on_keyboard"
        group.attrs["duration_mins"] = len(emg) / RATE_HZ / 60
        group.attrs["keystrokes"] = json.dumps(
            [
                {"start": start + at, "end": start + at + hold, "key": key, "ascii": 0}
                for key, at, hold in keys
            ]
        )
        prompt = {"name": "text_prompt", "start": start, "end": start + 0.5, "payload": {"text": "hi⏎"}}
        group.attrs["prompts"] = json.dumps([prompt])
    return path


def write_download(folder: Path, starts: Sequence[int] = PAPER_STARTS, user: str = PAPER_USER) -> Path:
    """Recordings of a second, and the metadata.csv that names them."""
    folder.mkdir(exist_ok=True)
    for start in starts:
        write_recording(folder, start, user=user)
    write_metadata(folder, [(start, user) for start in starts])
    return folder


def write_metadata(folder: Path, recordings: Sequence[tuple[int, str]], tags: str = "[]") -> None:
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for start, user in recordings:
            minutes = 1 / 60
            writer.writerow(dict(zip(COLUMNS, (name_of(start), user, minutes, 2, 1, tags), strict=True)))
