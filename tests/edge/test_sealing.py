"""Sealing: killed at any step there is a journal or a session; a recording may continue a session."""

from __future__ import annotations

import os
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import BadSession, NotEnoughData
from edge.recording import Recorder, journal_path
from edge.recording_frames import Continued, Heading
from edge.samples import RATE_HZ, KeyPress, SegmentStart
from edge.sealing import recover
from edge.session import Session, read_session
from tests.edge.killing import killed_at_line
from tests.edge.making import chunks_of, heading_of, make_session, record, same, typed

SAMPLES = 60
AWAY = 1000  # samples between the end of a session and its continuation
SEALING = tuple(
    str(Path("edge") / f"{name}.py") for name in ("sealing", "files", "session", "session_layout")
)


def sealed(folder: Path, **changes: Any) -> Session:
    """The session a.hdf5 in `folder`."""
    session = make_session(SAMPLES, **changes)
    record(folder / "a.hdf5", session, [20]).seal()
    return session


def continuing(session: Session, **changes: Any) -> Heading:
    continued = Continued(samples=len(session.time_s), last_s=float(session.time_s[-1]))
    return heading_of(session).model_copy(update={"continues": continued} | changes)


def later(session: Session, away: int = AWAY, samples: int = SAMPLES, **changes: Any) -> Session:
    """What is recorded `away` samples after the end of a session, numbered from 0."""
    time_s = session.time_s[-1] + (1 + away + np.arange(samples)) / RATE_HZ
    keys = (KeyPress("x", time_s[3], time_s[3] + 0.1),)
    return make_session(samples, **({"seed": 1, "time_s": time_s, "keys": keys, "prompts": ()} | changes))


def go_on(folder: Path, session: Session, more: Session, **changes: Any) -> Recorder:
    """A closed recorder that took `more`."""
    recorder = Recorder(folder / "a.hdf5", continuing(session, **changes))
    for chunk in chunks_of(more, [30], first_index=7):
        recorder.add(chunk)
    for key in more.keys:
        recorder.add_key(key)
    recorder.close()
    return recorder


def check_continued(found: Session, session: Session, more: Session, away: int = AWAY) -> None:
    behind = SAMPLES + away
    assert len(found.time_s) == behind + len(more.time_s)
    for name in ("time_s", "emg_uv", "valid"):
        np.testing.assert_array_equal(getattr(found, name)[:SAMPLES], getattr(session, name))
        np.testing.assert_array_equal(getattr(found, name)[behind:], getattr(more, name))
    assert not found.valid[SAMPLES:behind].any()
    np.testing.assert_array_equal(found.emg_uv[SAMPLES:behind], found.emg_uv[[SAMPLES - 1] * away])
    np.testing.assert_allclose(np.diff(found.time_s), 1 / RATE_HZ, rtol=0, atol=1e-6)
    assert set(found.keys) == {*session.keys, *more.keys}
    assert found.prompts == session.prompts


def test_a_recording_goes_on_with_a_session(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    more = later(session, segments=(SegmentStart(40, "right", "reconnected", 5, 0),))
    recorder = go_on(tmp_path, session, more)
    recovered = recover(journal_path(recorder.path))
    found = read_session(recovered.path)
    check_continued(found, session, more)
    uncertain = round((0.1 + 1e-4 * (AWAY + 1) / RATE_HZ) * RATE_HZ)
    assert found.segments == (
        SegmentStart(SAMPLES + AWAY, "left", "restarted", AWAY, uncertain),
        SegmentStart(SAMPLES + AWAY, "right", "restarted", AWAY, uncertain),
        SegmentStart(SAMPLES + AWAY + 40, "right", "reconnected", 5, 0),
    )
    assert (recovered.samples, recovered.missing, recovered.kept_aside) == (SAMPLES, 0, None)
    assert found.recorded_s == 2 * SAMPLES / RATE_HZ
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]


def test_and_on_again(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    for _ in range(2):
        before = read_session(tmp_path / "a.hdf5")
        recover(journal_path(go_on(tmp_path, before, later(before)).path))
    found = read_session(tmp_path / "a.hdf5")
    assert len(found.time_s) == 3 * SAMPLES + 2 * AWAY
    assert [start.first_index for start in found.segments[::2]] == [
        SAMPLES + AWAY,
        2 * SAMPLES + 2 * AWAY,
    ]
    np.testing.assert_array_equal(found.emg_uv[:SAMPLES], session.emg_uv)


def test_simulated_time_that_ran_ahead_goes_on(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    early = later(session, away=-5000)
    recover(journal_path(go_on(tmp_path, session, early).path))
    found = read_session(tmp_path / "a.hdf5")
    assert len(found.time_s) == 2 * SAMPLES
    np.testing.assert_allclose(np.diff(found.time_s), 1 / RATE_HZ, rtol=0, atol=1e-6)
    moved = next(key for key in found.keys if key.key == "x")
    assert moved.press_s == pytest.approx(found.time_s[SAMPLES + 3], abs=1e-6)


def test_a_clock_that_was_set_back_is_refused(tmp_path: Path) -> None:
    session = sealed(tmp_path, simulated=False)
    with pytest.raises(BadSession, match=r"clock is 2\.5 s behind .* record another session"):
        go_on(tmp_path, session, later(session, away=-5001))


def test_nothing_more_recorded_leaves_the_session(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    recorder = Recorder(tmp_path / "a.hdf5", continuing(session))
    with pytest.raises(NotEnoughData, match="no sample arrived"):
        recorder.seal()
    assert same(read_session(tmp_path / "a.hdf5"), session)
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]


def test_what_a_recording_continues_must_be_there_and_the_same(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    with pytest.raises(BadSession, match="to continue"):
        Recorder(tmp_path / "b.hdf5", continuing(session))
    assert not (tmp_path / "b.journal").exists()
    recorder = go_on(tmp_path, session, later(session))
    content = recorder.path.read_bytes()
    recorder.path.unlink()
    with pytest.raises(BadSession, match="is gone; put it back"):
        recover(journal_path(recorder.path))
    for other in (make_session(SAMPLES - 1), make_session(SAMPLES, time_s=session.time_s + 1)):
        record(tmp_path / "c.hdf5", other, []).seal().rename(recorder.path)
        with pytest.raises(BadSession, match="is not the session that its journal continues"):
            recover(journal_path(recorder.path))
    recorder.path.write_bytes(content)
    check_continued(read_session(recover(journal_path(recorder.path)).path), session, later(session))


def test_damage_in_a_continuation_is_declared_beside_the_break(tmp_path: Path) -> None:
    session = sealed(tmp_path)
    recorder = go_on(tmp_path, session, later(session))
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[-30 * 138 - 300 - 1000] ^= 1  # in the first of the two chunks
    journal.write_bytes(content)
    recovered = recover(journal)
    assert (recovered.samples, recovered.missing) == (30, 30)
    found = read_session(recovered.path)
    assert len(found.time_s) == 2 * SAMPLES + AWAY
    assert int(found.valid[:, 0].sum()) == SAMPLES + 30


def test_damaged_journals_of_one_name_are_all_kept(tmp_path: Path) -> None:
    for _ in range(3):
        recorder = record(tmp_path / "a.hdf5", make_session(SAMPLES), [])
        recorder.close()
        with journal_path(recorder.path).open("ab") as file:
            file.write(b"torn")
        recover(journal_path(recorder.path)).path.unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.journal.damaged",
        "a.journal.damaged-2",
        "a.journal.damaged-3",
    ]


@pytest.mark.skipif(os.name == "nt", reason="fork and SIGKILL are POSIX")
@pytest.mark.parametrize("continued", [False, True])
@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_line_a_seal_can_be_repeated(tmp_path: Path, step: int, continued: bool) -> None:
    for line in count(step=step):
        folder = tmp_path / str(line)
        folder.mkdir()
        session = make_session(SAMPLES, keys=typed("hi"))
        more = later(session, away=9)
        if continued:
            record(folder / "a.hdf5", session, [20]).seal()
            go_on(folder, session, more)
        else:
            record(folder / "a.hdf5", session, [20]).close()
        killed = killed_at_line(line, SEALING, partial(recover, folder / "a.journal"))
        held = folder / "a.hdf5"
        if continued or not (folder / "a.journal").exists():
            read_session(held)  # the old one or the new one, whole
        recovered = recover(folder / "a.journal").path
        if continued:
            check_continued(read_session(recovered), session, more, away=9)
        else:
            assert same(read_session(recovered), session)
        assert [path.name for path in folder.iterdir()] == ["a.hdf5"]
        if not killed:
            assert line > 100  # so many lines were tried
            return
