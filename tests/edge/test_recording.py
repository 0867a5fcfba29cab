"""Recording: sealed sessions equal what was delivered; killed recorders lose nothing acknowledged."""

from __future__ import annotations

import os
import random
import signal
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import recording, sealing
from edge.errors import BadSession, NotEnoughData
from edge.journal import Frame, JournalReader
from edge.recording import Heading, Recorder, journal_path
from edge.recording_frames import Kind
from edge.samples import RATE_HZ, KeyPress, SampleChunk, SegmentStart
from edge.sealing import Recovered, recover
from edge.session import Session, read_session
from tests.edge.killing import forked, was_killed
from tests.edge.making import START_S, chunks_of, make_session, same, typed

SAMPLES = 400


def heading_of(session: Session) -> Heading:
    return Heading(
        name=session.name,
        user=session.user,
        condition=session.condition,
        sides=session.sides,
        filtered=session.filtered,
        simulated=session.simulated,
    )


def record(path: Path, session: Session, at: list[int], first_index: int = 0) -> Recorder:
    recorder = Recorder(path, heading_of(session))
    for key in session.keys:
        recorder.add_key(key)
    for chunk in chunks_of(session, at, first_index):
        recorder.add(chunk)
    for prompt in session.prompts:
        recorder.add_prompt(prompt)
    return recorder


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


def test_a_damaged_tail_is_kept_beside(tmp_path: Path) -> None:
    session = make_session(SAMPLES, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [100, 300])
    recorder.close()
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[-200] ^= 4
    journal.write_bytes(content)
    found = read_session(recover(journal).path)
    np.testing.assert_array_equal(found.emg_uv, session.emg_uv[:300])
    assert journal.with_name("a.journal.damaged").read_bytes() == bytes(content)
    assert not journal.exists()


def test_cut_at_any_byte_gives_a_prefix(tmp_path: Path) -> None:
    session = make_session(60, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [20, 40])
    recorder.close()
    content = journal_path(recorder.path).read_bytes()
    for length in range(8, len(content), 173):
        path = tmp_path / f"cut-{length}.journal"
        path.write_bytes(content[:length])
        try:
            found = read_session(recover(path).path)
        except NotEnoughData:
            continue
        assert len(found.time_s) in (20, 40)
        np.testing.assert_array_equal(found.emg_uv, session.emg_uv[: len(found.time_s)])
        np.testing.assert_array_equal(found.time_s, session.time_s[: len(found.time_s)])


def ramp(index: int, samples: int = 20) -> SampleChunk:
    """Samples that say which they are."""
    numbers = np.arange(index * samples, (index + 1) * samples)
    emg = np.broadcast_to(numbers[:, None, None], (samples, 2, 16)).astype(np.float32)
    return SampleChunk(int(numbers[0]), START_S + numbers / 2000, emg, np.ones((samples, 2), np.bool_))


def perform(recorder: Recorder, step: int) -> None:
    """A recording made of steps that say which they are: every seventh is a key, the others are samples."""
    if step % 7 == 3:
        recorder.add_key(key_of(step))
    else:
        recorder.add(ramp(samples_before(step) // 20))


def key_of(step: int) -> KeyPress:
    return KeyPress("a", START_S + step, START_S + step + 0.5)


def samples_before(step: int) -> int:
    return 20 * sum(earlier % 7 != 3 for earlier in range(step))


def kill_a_recorder(folder: Path, rng: random.Random) -> tuple[int, int]:
    """Kill a recorder at a random instant; give the acknowledged steps and the recovered ones."""
    folder.mkdir()
    read, write = os.pipe()

    def work() -> None:
        recorder = Recorder(folder / "a.hdf5", heading_of(make_session(20)))
        for step in range(1 << 14):  # as many acknowledgements as a pipe holds
            perform(recorder, step)
            os.write(write, b".")

    child = forked(work)
    os.close(write)
    acknowledged = 0
    for _ in range(rng.randrange(40)):
        acknowledged += len(os.read(read, 1))
    time.sleep(rng.random() * 3e-3)
    os.kill(child, signal.SIGKILL)
    while rest := os.read(read, 1 << 16):
        acknowledged += len(rest)
    os.close(read)
    was_killed(child)
    return acknowledged, recovered_steps(folder)


def recovered_steps(folder: Path) -> int:
    """How many steps the recovered session holds; it holds them whole, and nothing else."""
    journal = folder / "a.journal"
    if not journal.exists():
        return 0
    keys = sum(frame.kind == Kind.KEY for frame in JournalReader(journal))
    try:
        session = read_session(recover(journal).path)
    except NotEnoughData:
        return keys
    samples = len(session.time_s)
    steps = samples // 20 + len(session.keys)
    assert samples == samples_before(steps)
    assert session.keys == tuple(key_of(step) for step in range(steps) if step % 7 == 3)
    np.testing.assert_array_equal(session.emg_uv[:, 1, 15], np.arange(samples, dtype=np.float32))
    np.testing.assert_array_equal(session.time_s, START_S + np.arange(samples) / RATE_HZ)
    assert session.valid.all()
    return steps


@pytest.mark.skipif(os.name == "nt", reason="fork and SIGKILL are POSIX")
@pytest.mark.parametrize("kills", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_killed_recorders_lose_nothing_acknowledged(tmp_path: Path, kills: int) -> None:
    rng = random.Random(kills)
    for kill in range(kills):
        acknowledged, found = kill_a_recorder(tmp_path / str(kill), rng)
        assert found in (acknowledged, acknowledged + 1)  # the last may be written and not yet acknowledged


def small_journal(folder: Path) -> tuple[bytes, Session]:
    """Three chunks of five samples, a key, a prompt and a segment."""
    valid = np.ones((15, 2), np.bool_)
    valid[6:10, 0] = False
    start = SegmentStart(10, "left", "reconnected", 4, 0)
    session = make_session(15, keys=typed("h"), valid=valid, segments=(start,))
    recorder = record(folder / "a.hdf5", session, [5, 10])
    recorder.close()
    return journal_path(recorder.path).read_bytes(), session


def check_recovered(folder: Path, content: bytes, whole: Session) -> Recovered | None:
    """Recover a damaged journal: all that it gives was recorded, where it was recorded."""
    journal = folder / "b.journal"
    journal.write_bytes(content)
    recovered = None
    with suppress(NotEnoughData):
        recovered = recover(journal)
    if recovered is not None:
        found = read_session(recovered.path)
        at = round((found.time_s[0] - START_S) * RATE_HZ)
        part = slice(at, at + len(found.time_s))
        np.testing.assert_allclose(found.time_s, whole.time_s[part], rtol=0, atol=1e-6)
        assert not (found.valid & ~whole.valid[part]).any()
        np.testing.assert_array_equal(found.emg_uv[found.valid], whole.emg_uv[part][found.valid])
        assert set(found.keys) <= set(whole.keys)
        assert set(found.prompts) <= set(whole.prompts)
        assert {s._replace(first_index=s.first_index + at) for s in found.segments} <= set(whole.segments)
        assert int(found.valid.sum()) + 2 * recovered.missing >= int(whole.valid[part].sum())
    for path in folder.glob("b.*"):
        path.unlink()
    return recovered


@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_cut_at_every_byte_nothing_whole_is_lost(tmp_path: Path, step: int) -> None:
    content, session = small_journal(tmp_path)
    for length in range(0, len(content) + 1, step):
        recovered = check_recovered(tmp_path, content[:length], session)
        held = [frame.kind for frame in frames_of(tmp_path, content[:length])]
        assert (recovered.samples if recovered else 0) == 5 * held.count(Kind.SAMPLES)


@pytest.mark.parametrize("flips", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_flipped_bit_costs_what_it_hits_and_no_more(tmp_path: Path, flips: int) -> None:
    content, session = small_journal(tmp_path)
    rng = random.Random(flips)
    whole = frames_of(tmp_path, content)
    for flip in range(flips):
        bit = rng.randrange(8 * len(content))
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        found = frames_of(tmp_path, bytes(damaged))
        assert len(found) >= len(whole) - 1
        assert found == [frame for frame in whole if frame in found]
        if flip % 20 == 0 and Kind.HEADING in {frame.kind for frame in found}:
            check_recovered(tmp_path, bytes(damaged), session)


def frames_of(folder: Path, content: bytes) -> list[Frame]:
    (folder / "frames").write_bytes(content)
    return list(JournalReader(folder / "frames"))


def test_what_lies_behind_damage_is_kept_and_what_is_missing_declared(tmp_path: Path) -> None:
    session = make_session(60, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [20, 40])
    recorder.close()
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1  # in the second chunk
    journal.write_bytes(content)
    recovered = recover(journal)
    found = read_session(recovered.path)
    assert (recovered.samples, recovered.missing, recovered.damage.frames) == (40, 20, 1)
    assert found.valid[:, 0].tolist() == 20 * [True] + 20 * [False] + 20 * [True]
    np.testing.assert_array_equal(found.emg_uv[40:], session.emg_uv[40:])
    np.testing.assert_array_equal(found.emg_uv[20:40], np.broadcast_to(session.emg_uv[19], (20, 2, 16)))
    np.testing.assert_allclose(found.time_s, session.time_s, rtol=0, atol=1e-6)
    assert recovered.kept_aside is not None
    assert recovered.kept_aside.read_bytes() == bytes(content)


def test_a_damaged_beginning_is_left_out(tmp_path: Path) -> None:
    session = make_session(60, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [20, 40])
    recorder.close()
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[-2 * (20 * 138 + 33) - 99] ^= 1  # in the first chunk
    journal.write_bytes(content)
    recovered = recover(journal)
    found = read_session(recovered.path)
    assert recovered.missing == 20
    np.testing.assert_array_equal(found.emg_uv, session.emg_uv[20:])
    np.testing.assert_array_equal(found.time_s, session.time_s[20:])


def test_a_long_recording_says_more_than_once_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "HEADING_SAMPLES", 40)
    session = make_session(100, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [20, 40, 60, 80])
    recorder.close()
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[40] ^= 1
    journal.write_bytes(content)
    found = read_session(recover(journal).path)
    np.testing.assert_array_equal(found.emg_uv, session.emg_uv)


def test_without_any_heading_the_samples_stay_where_they_are(tmp_path: Path) -> None:
    content, _ = small_journal(tmp_path)
    journal = tmp_path / "a.journal"
    damaged = bytearray(content)
    damaged[40] ^= 1
    journal.write_bytes(damaged)
    with pytest.raises(BadSession, match="damaged where it says whose it is"):
        recover(journal)
    assert journal.read_bytes() == bytes(damaged)
