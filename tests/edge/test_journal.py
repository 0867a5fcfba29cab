"""The journal: all that was acknowledged, nothing that was not."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadSession
from edge.journal import LARGEST_PAYLOAD, MAGIC, Frame, JournalReader, JournalWriter

FRAMES = [Frame(1, b"heading"), Frame(2, bytes(range(40))), Frame(0, b""), Frame(255, b"\0" * 9)]


def write(path: Path, frames: list[Frame]) -> bytes:
    with JournalWriter(path) as journal:
        for frame in frames:
            journal.append(*frame)
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.builds(Frame, st.integers(0, 255), st.binary(max_size=99)), max_size=8))
def test_gives_back_what_was_appended(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    path = tmp_path_factory.mktemp("journals") / "a"
    write(path, frames)
    reader = JournalReader(path)
    assert list(reader) == frames
    assert list(reader) == frames  # again from the start
    assert reader.tail_bytes == 0


def test_cut_at_every_byte(tmp_path: Path) -> None:
    content = write(tmp_path / "a", FRAMES)
    ends = [len(MAGIC)]
    for frame in FRAMES:
        ends.append(ends[-1] + 9 + len(frame.payload))
    assert ends[-1] == len(content)
    cut = tmp_path / "cut"
    for length in range(len(MAGIC), len(content) + 1):
        cut.write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        reader = JournalReader(cut)
        assert list(reader) == FRAMES[:whole]
        assert reader.tail_bytes == length - ends[whole]


def test_every_bit_flip_is_noticed(tmp_path: Path) -> None:
    content = write(tmp_path / "a", FRAMES)
    flipped = tmp_path / "flipped"
    for bit in range(8 * len(MAGIC), 8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        flipped.write_bytes(damaged)
        reader = JournalReader(flipped)
        found = list(reader)
        assert found == FRAMES[: len(found)]
        assert len(found) < len(FRAMES)
        assert reader.tail_bytes > 0


def test_some_hundred_random_damages_invent_nothing(tmp_path: Path) -> None:
    content = write(tmp_path / "a", FRAMES)
    rng = random.Random(7)
    path = tmp_path / "damaged"
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(MAGIC), len(content))] = rng.randrange(256)
        path.write_bytes(damaged + rng.randbytes(rng.randrange(30)))
        found = list(JournalReader(path))
        assert found == FRAMES[: len(found)]


def test_never_overwrites(tmp_path: Path) -> None:
    write(tmp_path / "a", FRAMES)
    with pytest.raises(FileExistsError):
        JournalWriter(tmp_path / "a")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_is_private(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_refuses_other_files_and_absurd_payloads(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"something else")
    with pytest.raises(BadSession, match="no journal"):
        list(JournalReader(tmp_path / "a"))
    with JournalWriter(tmp_path / "b") as journal, pytest.raises(ValueError, match="split it"):
        journal.append(1, bytes(LARGEST_PAYLOAD + 1))


def test_closed_is_closed(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "a")
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.append(1, b"")


@pytest.mark.parametrize("written", [0, 1, 8, 9, 12])
def test_a_full_disk_leaves_no_half_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    journal = JournalWriter(tmp_path / "a")
    journal.append(*FRAMES[0])
    real_write, left = os.write, [written]

    def full(handle: int, data: memoryview) -> int:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        count = real_write(handle, data[: left[0]])
        left[0] -= count
        return count

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.append(*FRAMES[1])
    journal.append(*FRAMES[2])  # someone made room
    journal.close()
    assert list(JournalReader(tmp_path / "a")) == [FRAMES[0], FRAMES[2]]


def test_a_write_cut_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real_write(handle, data[:3]))
        write(tmp_path / "a", FRAMES)
    assert list(JournalReader(tmp_path / "a")) == FRAMES
