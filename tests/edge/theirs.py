"""Files in emg2qwerty's layout, made without our writer, and ways to change one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edge.samples import RATE_HZ
from tests.edge.making import START_S

SAMPLES = 300
DTYPE = [("time", "<f8"), ("emg_left", "<f4", (16,)), ("emg_right", "<f4", (16,))]
KEYSTROKES = [
    {"ascii": 104, "start": START_S, "end": START_S + 0.1, "key": "h"},
    {"ascii": None, "start": START_S + 0.05, "end": START_S + 0.2, "key": "Key.shift_r"},
    {"ascii": 0, "start": START_S + 0.1, "end": START_S + 0.2, "key": "Key.left"},
    {"ascii": 13, "start": START_S + 60, "end": START_S + 61, "key": "Key.enter"},  # after the last sample
]
PROMPTS = [
    {"name": "text_prompt", "start": START_S, "end": START_S + 1, "payload": None},
    {"name": "text_prompt", "start": START_S + 1, "end": START_S + 2, "payload": {"text": "h⏎"}},
]


def table(samples: int = SAMPLES, dtype: Any = DTYPE) -> np.ndarray[Any, Any]:
    """Noise on a perfect clock, as its records."""
    rng = np.random.default_rng(0)
    records = np.zeros(samples, dtype)
    records["time"] = START_S + np.arange(samples) / RATE_HZ
    for side in ("emg_left", "emg_right"):
        if side in (records.dtype.names or ()):
            records[side] = rng.normal(0, 20, records[side].shape)
    return records


def write_theirs(path: Path, records: np.ndarray[Any, Any] | None = None, **storage: Any) -> Path:
    """A file as emg2qwerty's are described."""
    with h5py.File(path, "w") as file:
        group = file.create_group("emg2qwerty")
        group.create_dataset("timeseries", data=table() if records is None else records, **storage)
        group.attrs["session_name"] = "2021-06-02-1622682789-keystrokes"
        group.attrs["user"] = "89335547"
        group.attrs["condition"] = "on_keyboard"
        group.attrs["duration_mins"] = 18.8
        group.attrs["keystrokes"] = json.dumps(KEYSTROKES)
        group.attrs["prompts"] = json.dumps(PROMPTS)
    return path


def edit(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def set_attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file["emg2qwerty"].attrs.__setitem__(name, value)


def replace_table(**arguments: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["emg2qwerty"]["timeseries"]
        file["emg2qwerty"].create_dataset("timeseries", **arguments)

    return change


def replace_link(name: str, link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


def ours(**changes: Any) -> str:
    return json.dumps(
        {"schema_version": 2, "sides": ["left", "right"], "filtered": False, "simulated": False} | changes
    )
