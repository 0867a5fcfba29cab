"""The HDF5 layout: theirs open here, ours open with a reader of theirs, hostile files are refused."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import session_layout as layout
from edge.charset import CHARSET
from edge.errors import BadSession
from edge.samples import RATE_HZ, KeyPress, Prompt, SegmentStart
from edge.session import read_session, write_session
from tests.edge.making import START_S, make_session, same, shared_data

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
    rng = np.random.default_rng(0)
    records = np.zeros(samples, dtype)
    records["time"] = START_S + np.arange(samples) / RATE_HZ
    for side in ("emg_left", "emg_right"):
        if side in (records.dtype.names or ()):
            records[side] = rng.normal(0, 20, records[side].shape)
    return records


def write_theirs(path: Path, records: np.ndarray[Any, Any] | None = None, **storage: Any) -> Path:
    """A file as the facts describe emg2qwerty's."""
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


def virtual_table(file: h5py.File) -> None:
    del file["emg2qwerty"]["timeseries"]
    layout = h5py.VirtualLayout((SAMPLES,), np.dtype(DTYPE))
    layout[:] = h5py.VirtualSource("elsewhere.hdf5", "x", (SAMPLES,), np.dtype(DTYPE))
    file["emg2qwerty"].create_virtual_dataset("timeseries", layout)


def filtered_table(file: h5py.File) -> None:
    del file["emg2qwerty"]["timeseries"]
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((64,))
    creation.set_filter(h5py.h5z.FILTER_NBIT, h5py.h5z.FLAG_OPTIONAL)
    space, kind = h5py.h5s.create_simple((SAMPLES,)), h5py.h5t.py_create(np.dtype(DTYPE))
    dataset = h5py.h5d.create(file["emg2qwerty"].id, b"timeseries", kind, space, creation)
    h5py.Dataset(dataset)[:] = table()


def bad_time(records: np.ndarray[Any, Any], at: int, value: float) -> np.ndarray[Any, Any]:
    records["time"][at] = value
    return records


def not_a_number(records: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    records["emg_left"][5, 2] = np.nan
    return records


def ours(**changes: Any) -> str:
    return json.dumps(
        {"schema_version": 2, "sides": ["left", "right"], "filtered": False, "simulated": False} | changes
    )


def test_attributes_of_schema_1_are_read(tmp_path: Path) -> None:
    path = write_theirs(tmp_path / "a.hdf5")
    edit(path, set_attribute("qwrist", ours(schema_version=1, gaps={"left": [[3, 9]]})))
    session = read_session(path)
    assert int((~session.valid[:, 0]).sum()) == 6
    assert (session.segments, session.source, session.plan) == ((), "", None)


def segment(**changes: Any) -> dict[str, Any]:
    start = SegmentStart(100, "left", "restarted", 50, 20)
    return start._asdict() | changes


WRONG: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "no group": (lambda f: f.move("emg2qwerty", "other"), r"no group 'emg2qwerty' \(found: other\)"),
    "no table": (lambda f: f["emg2qwerty"].move("timeseries", "x"), r"no dataset 'timeseries' \(found: x\)"),
    "group is a table": (replace_link("emg2qwerty", np.zeros(3)), "not a group"),
    "table is a group": (
        lambda f: (f["emg2qwerty"].move("timeseries", "x"), f["emg2qwerty"].create_group("timeseries")),
        "not a dataset",
    ),
    "soft link": (replace_link("emg2qwerty", h5py.SoftLink("/emg2qwerty")), "links are not followed"),
    "external link": (replace_link("emg2qwerty", h5py.ExternalLink("a.hdf5", "/")), "links are not followed"),
    "linked table": (
        replace_link("emg2qwerty/timeseries", h5py.ExternalLink("b.hdf5", "/x")),
        "links are not followed",
    ),
    "virtual": (virtual_table, "other files"),
    "no field": (replace_table(data=table(dtype=DTYPE[:2])), r"'emg_right' \(found: time, emg_left\)"),
    "no fields": (replace_table(data=np.zeros((10, 33))), "no field 'time'"),
    "8 electrodes": (
        replace_table(data=table(dtype=[*DTYPE[:2], ("emg_right", "<f4", (8,))])),
        r"'emg_right' holds float32 of shape \(8,\), expected float32 of shape \(16,\)",
    ),
    "integers": (replace_table(data=np.zeros(10, [*DTYPE[:2], ("emg_right", "<i2", (16,))])), "holds int16"),
    "two dimensions": (replace_table(data=table().reshape(2, -1)), "2 dimensions"),
    "empty": (replace_table(shape=(0,), dtype=np.dtype(DTYPE)), "no samples"),
    "wrong rate": (replace_table(data=table()[::2]), "says 1000 Hz, expected 2000 Hz"),
    "backwards": (replace_table(data=bad_time(table(), 100, START_S)), "time runs backwards"),
    "NaN time": (replace_table(data=bad_time(table(), 100, np.nan)), "time is not finite at sample 100"),
    "NaN": (replace_table(data=not_a_number(table())), "sample 5 of electrode 2 of the left band"),
    "terabytes": (replace_table(shape=(2**33,), dtype=np.dtype(DTYPE), chunks=(4000,)), "not a recording"),
    "never written": (
        replace_table(shape=(9000,), dtype=np.dtype(DTYPE), chunks=(4000,)),
        "declares 1224000 bytes and stores 0",
    ),
    "huge chunk": (
        replace_table(shape=(9000,), dtype=np.dtype(DTYPE), maxshape=(None,), chunks=(1 << 21,)),
        "too many to be read",
    ),
    "foreign filter": (filtered_table, "compressed by a filter other than gzip"),
    "no user": (lambda f: f["emg2qwerty"].attrs.__delitem__("user"), "no attribute 'user'"),
    "no keystrokes": (lambda f: f["emg2qwerty"].attrs.__delitem__("keystrokes"), "no attribute 'keystrokes'"),
    "number for text": (set_attribute("condition", 5), "'condition' holds int64, expected a string"),
    "not JSON": (set_attribute("keystrokes", "[{"), "'keystrokes' is not what it must be"),
    "key without start": (set_attribute("keystrokes", '[{"key": "a", "end": 1}]'), "0.start"),
    "NaN key": (set_attribute("keystrokes", '[{"key": "a", "start": NaN, "end": 1}]'), "0.start"),
    "released early": (set_attribute("keystrokes", '[{"key": "a", "start": 2, "end": 1}]'), "'a' is rel"),
    "prompt text": (
        set_attribute("prompts", '[{"name": "text_prompt", "start": 1, "end": 2, "payload": {"text": 5}}]'),
        "0.payload.text",
    ),
    "newer qwrist": (set_attribute("qwrist", ours(schema_version=3)), "schema_version"),
    "unknown key": (set_attribute("qwrist", ours(colour="red")), "colour"),
    "segment before the start": (
        set_attribute("qwrist", ours(segments=[segment(first_index=-1)])),
        "first_index",
    ),
    "segment of no reason": (set_attribute("qwrist", ours(segments=[segment(reason="tea")])), "reason"),
    "segment beyond": (set_attribute("qwrist", ours(segments=[segment(first_index=300)])), "300 of 300"),
    "a plan of nothing": (set_attribute("qwrist", ours(plan={"deck": 0, "wanted_s": 0})), "wanted_s"),
    "gap beyond": (set_attribute("qwrist", ours(gaps={"left": [[0, 9999]]})), "ends at sample 9999 of 300"),
    "gaps out of order": (set_attribute("qwrist", ours(gaps={"left": [[50, 60], [10, 20]]})), "ascending"),
    "negative gap": (set_attribute("qwrist", ours(gaps={"right": [[-5, 6]]})), "ascending"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    change, said = WRONG[case]
    path = write_theirs(tmp_path / "a.hdf5")
    edit(path, change)
    with pytest.raises(BadSession, match=said) as raised:
        read_session(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message


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


def test_wide_records_do_not_make_a_file_larger_than_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LONGEST", SAMPLES)
    path = write_theirs(tmp_path / "a.hdf5", table(dtype=[*DTYPE, ("wide", "<f4", (9,))]))
    with pytest.raises(BadSession, match="bytes, more than the 40800 that are read"):
        read_session(path)


def test_external_storage_does_not_leak_another_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(table().tobytes())
    path = write_theirs(tmp_path / "a.hdf5")
    edit(
        path,
        replace_table(
            shape=(SAMPLES,),
            dtype=np.dtype(DTYPE),
            external=[(str(secret), 0, SAMPLES * np.dtype(DTYPE).itemsize)],
        ),
    )
    with pytest.raises(BadSession, match="other files"):
        read_session(path)


def test_not_hdf5_missing_and_folder(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").write_bytes(b"hello")
    (tmp_path / "empty.hdf5").touch()
    for name, said in {
        "a.hdf5": "not an HDF5",
        "empty.hdf5": "not an HDF5",
        "b.hdf5": "no such file",
        ".": "it is a folder",
    }.items():
        with pytest.raises(BadSession, match=said):
            read_session(tmp_path / name)


def test_cut_short_at_any_point(tmp_path: Path) -> None:
    whole = tmp_path / "whole.hdf5"
    write_session(whole, make_session(SAMPLES))
    content = whole.read_bytes()
    cut = tmp_path / "cut.hdf5"
    for length in [*range(0, 2048, 97), *range(2048, len(content) - 1, len(content) // 20), len(content) - 1]:
        cut.write_bytes(content[:length])
        with pytest.raises(BadSession):
            read_session(cut)


# derandomised: HDF5 itself is known to take seconds over one damaged file in a thousand
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_never_another_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.hdf5"
    if not path.exists():
        write_session(path, make_session(SAMPLES))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # the structure lies in the first kilobytes and after the samples
        at = data.draw(st.integers(0, 4095) | st.integers(len(content) - 4096, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.hdf5"
    damaged.write_bytes(content)
    with suppress(BadSession):
        read_session(damaged)


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
