"""Files that are wrong, damaged or hostile are refused in one sentence, and nothing else is read."""

from __future__ import annotations

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
from edge.errors import BadSession
from edge.samples import SegmentStart
from edge.session import read_session, write_session
from tests.edge.making import START_S, make_session
from tests.edge.theirs import (
    DTYPE,
    SAMPLES,
    edit,
    ours,
    replace_link,
    replace_table,
    set_attribute,
    table,
    write_theirs,
)


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
