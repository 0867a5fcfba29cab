"""The journal: all that was acknowledged, nothing that was not."""

from __future__ import annotations

import os
import random
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadSession
from edge.journal import (
    HEADER_BYTES,
    LARGEST_PAYLOAD,
    MAGIC,
    MARK,
    Damage,
    Frame,
    JournalReader,
    JournalWriter,
)

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
    assert reader.damage == Damage()


def ends_of(frames: list[Frame]) -> list[int]:
    """Where the magic and then each frame ends."""
    return list(accumulate((HEADER_BYTES + len(frame.payload) for frame in frames), initial=len(MAGIC)))


def test_cut_at_every_byte(tmp_path: Path) -> None:
    content = write(tmp_path / "a", FRAMES)
    ends = ends_of(FRAMES)
    assert ends[-1] == len(content)
    cut = tmp_path / "cut"
    for length in range(len(content) + 1):
        cut.write_bytes(content[:length])
        whole = max(0, sum(end <= length for end in ends) - 1)
        reader = JournalReader(cut)
        assert list(reader) == FRAMES[:whole]
        assert reader.damage == Damage(length - (ends[whole] if length >= len(MAGIC) else 0), 0)


def test_every_bit_flip_costs_one_frame_and_no_other(tmp_path: Path) -> None:
    content = write(tmp_path / "a", FRAMES)
    ends = ends_of(FRAMES)
    flipped = tmp_path / "flipped"
    for bit in range(8 * len(content)):
        flipped.write_bytes(with_flip(content, bit))
        hit = bisect_right(ends, bit // 8) - 1  # -1: the magic
        reader = JournalReader(flipped)
        assert list(reader) == [frame for n, frame in enumerate(FRAMES) if n != hit]
        passed = len(MAGIC) if hit < 0 else ends[hit + 1] - ends[hit]
        assert reader.damage == Damage(passed, int(0 <= hit < len(FRAMES) - 1))


def with_flip(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


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
        assert found == [frame for frame in FRAMES if frame in found]  # a subset, in order


def test_a_mark_across_two_blocks_is_found(tmp_path: Path) -> None:
    for shift in range(len(MARK) + 2):
        path = tmp_path / f"a{shift}"
        filler = Frame(9, bytes((1 << 20) + 1 - HEADER_BYTES - len(MARK) + shift))  # the search begins at 9
        content = bytearray(write(path, [filler, FRAMES[0]]))
        content[len(MAGIC)] ^= 1
        path.write_bytes(content)
        assert list(JournalReader(path)) == [FRAMES[0]]


def test_frames_of_another_journal_and_old_ones_of_its_own_are_none(tmp_path: Path) -> None:
    """What a block of the disk can hold after a power cut."""
    one, other = write(tmp_path / "a", FRAMES), write(tmp_path / "b", FRAMES)
    ends = ends_of(FRAMES)
    for stale in (other[ends[1] :], one[ends[0] : ends[1]]):
        path = tmp_path / "mixed"
        path.write_bytes(one[: ends[2]] + stale)
        reader = JournalReader(path)
        assert list(reader) == FRAMES[:2]
        assert reader.damage == Damage(len(stale), 0)


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
