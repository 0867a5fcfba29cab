"""Recordings that were killed, cut short or damaged: nothing acknowledged is lost, no sample invented."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edge import recording
from edge.errors import BadSession, NotEnoughData
from edge.journal import HEADER_BYTES, MAGIC, Frame, JournalReader
from edge.recording import Recorder, journal_path
from edge.recording_frames import Kind
from edge.samples import RATE_HZ, KeyPress, SegmentStart
from edge.sealing import Recovered, recover
from edge.session import Session, read_session
from tests.edge.killing import forked, was_killed
from tests.edge.making import START_S, heading_of, make_session, ramp, record, typed

SAMPLES = 400


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
    one_less = [whole[:n] + whole[n + 1 :] for n in range(len(whole))]
    for flip in range(flips):
        damaged = with_flip(content, rng.randrange(8 * len(content)))
        assert frames_of(tmp_path, damaged) in [whole, *one_less]
        if flip % 20 == 0:
            recovered = check_recovered(tmp_path, damaged, session)
            assert recovered is not None
            assert recovered.samples >= 10  # of 15: one chunk at most


@pytest.mark.parametrize("step", [101, pytest.param(1, marks=pytest.mark.slow)])
def test_no_bit_of_the_headings_is_needed(tmp_path: Path, step: int) -> None:
    content, session = small_journal(tmp_path)
    frames = frames_of(tmp_path, content)
    assert [frame.kind for frame in frames[:3]] == [Kind.HEADING, Kind.HEADING, Kind.KEY]
    first_key = len(MAGIC) + 2 * (HEADER_BYTES + len(frames[0].payload))
    for bit in range(0, 8 * first_key, step):
        recovered = check_recovered(tmp_path, with_flip(content, bit), session)
        assert recovered is not None
        assert recovered.samples == 15


def with_flip(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


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


def test_a_block_that_holds_both_first_headings_is_not_the_only_one(tmp_path: Path) -> None:
    session = make_session(3 * RATE_HZ, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, list(range(0, 3 * RATE_HZ, 100)))
    recorder.close()
    journal = journal_path(recorder.path)
    content = bytearray(journal.read_bytes())
    content[:4096] = bytes(4096)
    journal.write_bytes(content)
    recovered = recover(journal)
    assert recovered.samples == 3 * RATE_HZ - 100
    np.testing.assert_array_equal(read_session(recovered.path).emg_uv, session.emg_uv[100:])


def test_a_long_recording_says_again_and_again_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SYNC_SAMPLES", 20)
    monkeypatch.setattr(recording, "HEADING_SAMPLES", 40)
    session = make_session(100, keys=(), prompts=())
    recorder = record(tmp_path / "a.hdf5", session, [20, 40, 60, 80])
    recorder.close()
    kinds = [frame.kind for frame in JournalReader(journal_path(recorder.path))]
    heading, samples = Kind.HEADING, Kind.SAMPLES
    assert kinds == [heading, heading, samples, heading, samples, samples, heading, samples, samples, heading]


def test_without_any_heading_the_samples_stay_where_they_are(tmp_path: Path) -> None:
    content, _ = small_journal(tmp_path)
    journal = tmp_path / "a.journal"
    damaged = content.replace(b"schema_version", b"schema_Version")
    assert damaged != content
    journal.write_bytes(damaged)
    with pytest.raises(BadSession, match="damaged where it says whose it is"):
        recover(journal)
    assert journal.read_bytes() == damaged


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
