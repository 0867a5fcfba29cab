"""Recording: a sealed session equals what was delivered, and no journal goes before it does."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import recording, sealing
from edge.errors import BadSession, NotEnoughData
from edge.recording import Recorder, journal_path
from edge.samples import RATE_HZ
from edge.sealing import recover
from edge.session import read_session
from tests.edge.making import chunks_of, heading_of, make_session, ramp, record, same

SAMPLES = 400


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, SAMPLES), max_size=8), st.integers(0, 2**40))
def test_a_sealed_recording_equals_what_was_delivered(
    tmp_path_factory: pytest.TempPathFactory, at: list[int], first_index: int
) -> None:
    folder = tmp_path_factory.mktemp("recordings")
    valid = np.random.default_rng(0).random((SAMPLES, 2)) > 0.1
    session = make_session(SAMPLES, valid=valid)
    path = record(folder / "session-0001.hdf5", session, at, first_index).seal()
    assert same(read_session(path), session)
    assert list(folder.iterdir()) == [path]


def test_late_keys_and_prompts_are_put_in_order(tmp_path: Path) -> None:
    session = make_session(SAMPLES)
    recorder = Recorder(tmp_path / "a.hdf5", heading_of(session))
    recorder.add(chunks_of(session, [])[0])
    for key in reversed(session.keys):
        recorder.add_key(key)
    assert read_session(recorder.seal()).keys == session.keys


def test_left_out_samples_are_refused(tmp_path: Path) -> None:
    first, second, third = chunks_of(make_session(SAMPLES), [100, 200])
    with Recorder(tmp_path / "a.hdf5", heading_of(make_session(SAMPLES))) as recorder:
        recorder.add(first)
        with pytest.raises(BadSession, match="sample 200 follows sample 99"):
            recorder.add(third)
        recorder.add(second)


def test_names_are_not_reused(tmp_path: Path) -> None:
    session = make_session(SAMPLES)
    record(tmp_path / "a.hdf5", session, []).seal()
    with pytest.raises(BadSession, match="exists already"):
        Recorder(tmp_path / "a.hdf5", heading_of(session))
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]
    with Recorder(tmp_path / "b.hdf5", heading_of(session)):
        pass
    with pytest.raises(BadSession, match="under way in another process, or was interrupted"):
        Recorder(tmp_path / "b.hdf5", heading_of(session))


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadSession, match=r"a\.journal cannot be written \(No such file"):
        Recorder(tmp_path / "nowhere" / "a.hdf5", heading_of(make_session(SAMPLES)))


def test_a_recording_under_way_is_not_sealed_by_others(tmp_path: Path) -> None:
    session = make_session(SAMPLES)
    recorder = record(tmp_path / "a.hdf5", session, [])
    with pytest.raises(BadSession, match="is being recorded by another process"):
        recover(journal_path(recorder.path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.journal"]
    assert same(read_session(recorder.seal()), session)


def test_sealing_what_is_sealed_gives_its_path(tmp_path: Path) -> None:
    path = record(tmp_path / "a.hdf5", make_session(SAMPLES), []).seal()
    assert recover(journal_path(path)).path == path
    with pytest.raises(BadSession, match="there is no"):
        recover(tmp_path / "b.journal")


def test_a_recording_ends_where_a_session_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LONGEST_S", 300 / RATE_HZ)
    session = make_session(SAMPLES, keys=(), prompts=())
    recorder = Recorder(tmp_path / "a.hdf5", heading_of(session))
    *first, last = chunks_of(session, [100, 300])
    for chunk in first:
        recorder.add(chunk)
    with pytest.raises(BadSession, match=r"a\.hdf5 lasts .* it is kept, go on in another"):
        recorder.add(last)
    np.testing.assert_array_equal(read_session(recorder.path).emg_uv, session.emg_uv[:300])
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]


@pytest.mark.parametrize("field", ["time_s", "emg_uv", "valid", "keys", "prompts", "user"])
def test_any_difference_keeps_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    session = make_session(SAMPLES)
    recorder = record(tmp_path / "a.hdf5", session, [100])
    recorder.close()
    changed: dict[str, Any] = {
        "time_s": np.append(session.time_s[:-1], session.time_s[-1] + 1e-6),
        "emg_uv": np.where(np.arange(SAMPLES)[:, None, None] == SAMPLES - 1, 0, session.emg_uv),
        "valid": np.arange(2 * SAMPLES).reshape(-1, 2) > 0,
        "keys": session.keys[:-1],
        "prompts": (),
        "user": "eve",
    }
    other = make_session(SAMPLES, **{field: changed[field]})
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "read_session", lambda _: other)
        with pytest.raises(BadSession, match="which is kept"):
            recover(journal_path(recorder.path))
    assert recover(journal_path(recorder.path)).path == recorder.path


def test_sealing_needs_memory_for_one_session(tmp_path: Path) -> None:
    seconds = 120
    with Recorder(tmp_path / "a.hdf5", heading_of(make_session(20))) as recorder:
        for second in range(seconds):
            recorder.add(ramp(second, RATE_HZ))
    tracemalloc.start()
    try:
        recover(journal_path(recorder.path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / (seconds * RATE_HZ * (8 + 2 * 16 * 4 + 2)) < 1.7  # slices of 9 MB come on top


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_journal_and_session_are_private(tmp_path: Path) -> None:
    recorder = record(tmp_path / "a.hdf5", make_session(SAMPLES), [])
    assert journal_path(recorder.path).stat().st_mode & 0o777 == 0o600
    assert recorder.seal().stat().st_mode & 0o777 == 0o600


def test_nothing_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.hdf5", heading_of(make_session(SAMPLES)))
    with pytest.raises(NotEnoughData, match="no sample arrived"):
        recorder.seal()
    assert list(tmp_path.iterdir()) == []


def test_recover_can_be_repeated_at_any_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session(SAMPLES)
    recorder = record(tmp_path / "a.hdf5", session, [50])
    recorder.close()
    journal = journal_path(recorder.path)
    with monkeypatch.context() as patch:  # the power goes between the rename and the journal's removal
        patch.setattr(sealing, "_drop", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            recover(journal)
    assert journal.exists()
    assert same(read_session(recorder.path), session)
    assert recover(journal).path == recorder.path
    assert not journal.exists()


def test_a_journal_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session(SAMPLES)
    recorder = record(tmp_path / "a.hdf5", session, [])
    with monkeypatch.context() as patch:
        patch.setattr("edge.files.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
        with pytest.raises(OSError, match="No space left"):
            recorder.seal()
    assert list(tmp_path.iterdir()) == [journal_path(recorder.path)]
    assert same(read_session(recover(journal_path(recorder.path)).path), session)


def test_the_journal_is_kept_unless_the_file_reads_back_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(tmp_path / "a.hdf5", make_session(SAMPLES), [])
    recorder.close()
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "read_session", lambda _: make_session(SAMPLES, seed=1))
        with pytest.raises(BadSession, match="which is kept"):
            recover(journal_path(recorder.path))
    assert journal_path(recorder.path).exists()
