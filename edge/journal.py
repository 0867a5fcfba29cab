"""An append-only journal of frames: whatever was acknowledged survives the death of the writer.

Each frame can be found and judged by itself: it begins with a mark, says which journal it is of and how many
went before it, and carries a CRC-32. A reader passes over what is damaged, says how much that was, and goes
on behind it; nothing is ever invented. docs/formats/session.md has the bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from edge.errors import BadSession
from edge.files import lock, sync_folder

SUFFIX: Final = ".journal"  # of the file's name
MAGIC: Final = b"qwjrnl2\n"
MARK: Final = b"\xffqw\xfe"  # begins each frame; no text in UTF-8 holds it
_HEADER: Final = struct.Struct("<4sIIIBI")  # mark, journal, number, payload length, kind, CRC-32
_PREFIX: Final = struct.Struct("<4sIIIB")  # what the CRC covers before the payload
HEADER_BYTES: Final = _HEADER.size
LARGEST_PAYLOAD: Final = 16 << 20  # bytes; a second of samples is 276 kB
_BLOCK: Final = 1 << 20  # bytes that are searched for a mark at a time


class Frame(NamedTuple):
    """One record; what its payload means is the caller's."""

    kind: int  # 0-255
    payload: bytes


class JournalWriter:
    """Appends frames to a new file, mode 0600, that is locked until `close` or the end of the process.

    Once `append` returns a frame is safe from a crash of the process, once `sync` returns from a power cut.
    Raises FileExistsError where `path` exists, and OSErrors of a full disk that name it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._handle: int | None = os.open(path, flags, 0o600)
        lock(self._handle, wait=True)  # before the first byte: without one a journal is nobody's to seal
        # Tells its frames from another journal's: after a power cut a block of the disk can hold old content.
        self._journal = int.from_bytes(os.urandom(4), "little")
        self._frames = 0
        self._size = 0
        self._write(MAGIC)
        sync_folder(path.parent)

    def append(self, kind: int, payload: bytes) -> None:
        """Write one frame. Raises ValueError for a payload over 16 MiB."""
        if len(payload) > LARGEST_PAYLOAD:
            raise ValueError(f"a payload of {len(payload)} bytes exceeds {LARGEST_PAYLOAD}; split it")
        prefix = _PREFIX.pack(MARK, self._journal, self._frames, len(payload), kind)
        crc = zlib.crc32(payload, zlib.crc32(prefix))
        self._write(prefix + crc.to_bytes(4, "little") + payload)
        self._frames += 1

    def sync(self) -> None:
        """Have the system put all frames on the disk."""
        with self._naming():
            os.fsync(self._open_handle())

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if self._handle is not None:
            self.sync()
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        handle, rest = self._open_handle(), memoryview(data)
        try:
            with self._naming():
                while rest:  # a signal can cut a write short
                    rest = rest[os.write(handle, rest) :]
        except BaseException:
            os.ftruncate(handle, self._size)  # a full disk: no half frame before those that follow
            raise
        self._size += len(data)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """What the system says of an open file does not name it."""
        try:
            yield
        except OSError as error:
            error.filename = str(self._path)
            raise

    def _open_handle(self) -> int:
        if self._handle is None:
            raise ValueError("the journal is closed")
        return self._handle


class Damage(NamedTuple):
    """What a reader passed over; both are 0 for a journal that is whole."""

    bytes: int = 0  # between good frames, before the first and after the last
    frames: int = 0  # that were written before the last good one; how many came after it is not known


class _Found(NamedTuple):
    at: int
    journal: int
    number: int
    frame: Frame

    @property
    def end(self) -> int:
        return self.at + HEADER_BYTES + len(self.frame.payload)


class JournalReader:
    """Iterates over the good frames of a journal; afterwards `damage` says what was passed over.

    Each iteration starts from the beginning. Raises BadSession for a file that is not a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = Damage()

    def __iter__(self) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            at = expected = lost = passed = 0
            journal: int | None = None
            if file.read(len(MAGIC)) == MAGIC:
                at = len(MAGIC)
            while (found := _next_frame(file, at, journal, expected)) is not None:
                passed += found.at - at
                lost += found.number - expected
                journal, expected, at = found.journal, found.number + 1, found.end
                yield found.frame
            if journal is None:
                _check_magic(file, self.path)
            self.damage = Damage(passed + size - at, lost)


def _next_frame(file: BinaryIO, at: int, journal: int | None, expected: int) -> _Found | None:
    """The first good frame from `at` on that is this journal's and not an earlier one."""
    place: int | None = at
    while place is not None:
        found = _frame_at(file, place)
        if found is not None and journal in (None, found.journal) and found.number >= expected:
            return found
        place = _find_mark(file, place + 1)
    return None


def _frame_at(file: BinaryIO, at: int) -> _Found | None:
    file.seek(at)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    mark, journal, number, length, kind, crc = _HEADER.unpack(header)
    if mark != MARK or length > LARGEST_PAYLOAD:
        return None
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload, zlib.crc32(header[: _PREFIX.size])) != crc:
        return None
    return _Found(at, journal, number, Frame(kind, payload))


def _find_mark(file: BinaryIO, at: int) -> int | None:
    while True:
        file.seek(at)
        block = file.read(_BLOCK)
        if (found := block.find(MARK)) >= 0:
            return at + found
        if len(block) < _BLOCK:
            return None
        at += _BLOCK - len(MARK) + 1  # a mark may lie across two blocks


def _check_magic(file: BinaryIO, path: Path) -> None:
    """Raise BadSession unless a file without a good frame began as a journal."""
    file.seek(0)
    begun = file.read(len(MAGIC))
    if not MAGIC.startswith(begun):
        raise BadSession(f"{path} is no journal of this version of qwrist's; move it out of the folder")
