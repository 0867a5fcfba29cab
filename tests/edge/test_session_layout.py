"""The HDF5 layout: theirs open here, ours open with a reader of theirs."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from edge import session_layout as layout
from edge.charset import CHARSET
from edge.errors import BadSession
from edge.samples import RATE_HZ, KeyPress, Prompt
from edge.session import read_session, write_session
from tests.edge.making import START_S, make_session, same, shared_data, typed
from tests.edge.theirs import (
    DTYPE,
    PROMPTS,
    SAMPLES,
    edit,
    ours,
    set_attribute,
    table,
    write_theirs,
)


class TheirReader:
    """What a reader of that layout relies on: the group, fields by name, JSON in attributes."""

    def __init__(self, path: Path) -> None:
        with h5py.File(path, "r") as file:
            group = file["emg2qwerty"]
            records = group["timeseries"][...]
            self.time = records["time"]
            self.left, self.right = records["emg_left"], records["emg_right"]
            self.name, self.user = group.attrs["session_name"], group.attrs["user"]
            self.condition = group.attrs["condition"]
            self.minutes = group.attrs["duration_mins"]
            self.keystrokes = json.loads(group.attrs["keystrokes"])
            self.prompts = json.loads(group.attrs["prompts"])


def test_their_reader_opens_ours(tmp_path: Path) -> None:
    session = make_session(SAMPLES)
    write_session(tmp_path / "a.hdf5", session)
    theirs = TheirReader(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(theirs.time, session.time_s)
    np.testing.assert_array_equal(theirs.left, session.emg_uv[:, 0])
    np.testing.assert_array_equal(theirs.right, session.emg_uv[:, 1])
    assert theirs.left.dtype == np.float32
    assert (theirs.name, theirs.user, theirs.condition) == ("session-0001", "ada", "on_keyboard")
    assert theirs.minutes == pytest.approx((SAMPLES - 1) / RATE_HZ / 60, abs=1e-6)
    assert [(k["key"], k["start"], k["end"]) for k in theirs.keystrokes] == list(session.keys)
    assert [(p["name"], p["payload"]["text"]) for p in theirs.prompts] == [("text_prompt", "hello⏎")]


REORDERED = [DTYPE[2], DTYPE[0], DTYPE[1]]
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "contiguous": write_theirs,
    "chunked": lambda path: write_theirs(path, chunks=(64,)),
    "gzip": lambda path: write_theirs(path, chunks=(64,), compression="gzip", shuffle=True),
    "lzf": lambda path: write_theirs(path, chunks=(64,), compression="lzf", fletcher32=True),
    "reordered": lambda path: write_theirs(path, table(dtype=REORDERED)),
    "more fields": lambda path: write_theirs(path, table(dtype=[*DTYPE, ("temperature", "<f4")])),
    "double": lambda path: write_theirs(
        path, table(dtype=[DTYPE[0], ("emg_left", "<f8", (16,)), ("emg_right", "<f8", (16,))])
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_theirs_open_here(tmp_path: Path, layout: str) -> None:
    session = read_session(LAYOUTS[layout](tmp_path / "a.hdf5"))
    expected = table(dtype=REORDERED) if layout == "reordered" else table()
    np.testing.assert_array_equal(session.time_s, expected["time"])
    np.testing.assert_allclose(session.emg_uv[:, 0], expected["emg_left"], rtol=1e-6)
    np.testing.assert_allclose(session.emg_uv[:, 1], expected["emg_right"], rtol=1e-6)
    assert session.valid.all()
    assert session.sides == ("left", "right")
    assert (session.filtered, session.simulated, session.calibrated) == (True, False, False)
    assert [key.key for key in session.keys] == ["h", "Key.shift_r", "Key.left", "Key.enter"]
    assert session.labels == CHARSET.labels(["h", "Key.shift", "Key.enter"])
    assert session.prompts == (Prompt("h⏎", START_S + 1, START_S + 2),)


def test_prompts_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    path = write_theirs(tmp_path / "a.hdf5")
    others = [
        {"name": "video", "start": START_S, "end": START_S, "payload": {"file": "a.mp4"}},
        {"name": "pause", "start": START_S, "end": START_S, "payload": "10 s"},
        {"name": "note", "start": START_S, "end": START_S, "payload": {"text": "not to be typed"}},
    ]
    edit(path, set_attribute("prompts", json.dumps([*others, *PROMPTS])))
    assert read_session(path).prompts == (Prompt("h⏎", START_S + 1, START_S + 2),)


def test_attributes_of_schema_1_are_read(tmp_path: Path) -> None:
    path = write_theirs(tmp_path / "a.hdf5")
    edit(path, set_attribute("qwrist", ours(schema_version=1, gaps={"left": [[3, 9]]})))
    session = read_session(path)
    assert int((~session.valid[:, 0]).sum()) == 6
    assert (session.segments, session.source, session.plan) == ((), "", None)


def test_a_session_is_as_long_as_the_longest_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layout.LONGEST == 8 * 3600 * RATE_HZ
    write_session(tmp_path / "longer.hdf5", make_session(SAMPLES + 1))
    monkeypatch.setattr(layout, "LONGEST", SAMPLES)
    write_session(tmp_path / "longest.hdf5", make_session(SAMPLES))
    assert len(read_session(tmp_path / "longest.hdf5").time_s) == SAMPLES
    with pytest.raises(BadSession, match="a session at most 8 h; split it"):
        read_session(tmp_path / "longer.hdf5")
    with pytest.raises(BadSession, match="a session at most 8 h; split it"):
        write_session(tmp_path / "other.hdf5", make_session(SAMPLES + 1))
    assert not (tmp_path / "other.hdf5").exists()


@pytest.mark.parametrize("samples", [1, 4000, 4001, 40_000])
def test_a_file_takes_no_more_room_than_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(layout, "require_room", lambda _, size: asked.append(size))
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2**32, (samples, 2, 16), np.uint32).view(np.float32)  # compresses to nothing less
    emg_uv = np.where(np.isfinite(noise), noise, np.float32(1))
    session = make_session(samples, emg_uv=emg_uv, keys=typed("ab\n" * 500, period_s=0.01))
    write_session(tmp_path / "a.hdf5", session)
    assert (tmp_path / "a.hdf5").stat().st_size <= asked[0]


def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.files.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space left on device"):
        write_session(tmp_path / "a.hdf5", make_session(SAMPLES))
    assert list(tmp_path.iterdir()) == []


def test_a_real_keystroke_log_survives_the_round_trip(tmp_path: Path) -> None:
    session_id = "1622682789"
    keys, prompts = (
        rows_of(shared_data(f"typing/user89335547_{name}.csv.gz"), session_id)
        for name in ("keystrokes", "prompts")
    )
    assert len(keys) == 4627
    start_s = float(session_id)
    session = make_session(
        SAMPLES,
        keys=tuple(
            KeyPress(
                row["key"],
                start_s + float(row["onset"]),
                start_s + float(row["onset"]) + float(row["duration"]),
            )
            for row in keys
        ),
        prompts=tuple(
            Prompt(
                row["prompt_text"].replace("\\n", "⏎"),
                start_s + float(row["onset"]),
                start_s + float(row["onset"]) + float(row["duration"]),
            )
            for row in prompts
        ),
    )
    write_session(tmp_path / "a.hdf5", session)
    found = read_session(tmp_path / "a.hdf5")
    assert same(found, session)
    assert CHARSET.render(found.labels).count("⌫") == 159
    assert found.prompts[0].text.endswith("⏎")


def rows_of(path: Path, session_id: str) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["ses"] == session_id]
