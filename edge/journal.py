"""An append-only journal of frames: whatever was acknowledged survives the death of the writer.

Each frame carries its length and a CRC-32; a reader takes frames until the first that is cut short or
damaged, so that nothing is ever invented. Nothing is written last that reading needs.
docs/formats/session.md has the bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from edge.errors import BadSession
from edge.files import lock, sync_folder

MAGIC: Final = b"qwjrnl1\n"
_HEADER: Final = struct.Struct("<IBI")  # payload length, kind, CRC-32 of the first two and the payload
_PREFIX: Final = struct.Struct("<IB")
LARGEST_PAYLOAD: Final = 16 << 20  # bytes; a second of samples is 276 kB


class Frame(NamedTuple):
    """One record; what its payload means is the caller's."""

    kind: int  # 0-255
    payload: bytes


class JournalWriter:
    """Appends frames to a new file, mode 0600, that is locked until `close` or the end of the process.

    Once `append` returns a frame is safe from a crash of the process, once `sync` returns from a power cut.
    Raises FileExistsError where `path` exists.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._handle: int | None = os.open(path, flags, 0o600)
        lock(self._handle, wait=True)  # before the first byte: without one a journal is nobody's to seal
        self._size = 0
        self._write(MAGIC)
        sync_folder(path.parent)

    def append(self, kind: int, payload: bytes) -> None:
        """Write one frame. Raises ValueError for a payload over 16 MiB."""
        if len(payload) > LARGEST_PAYLOAD:
            raise ValueError(f"a payload of {len(payload)} bytes exceeds {LARGEST_PAYLOAD}; split it")
        self._write(_HEADER.pack(len(payload), kind, _crc(kind, payload)) + payload)

    def sync(self) -> None:
        """Have the system put all frames on the disk."""
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
            while rest:  # a signal can cut a write short
                rest = rest[os.write(handle, rest) :]
        except BaseException:
            os.ftruncate(handle, self._size)  # a full disk: half a frame would hide all that follow it
            raise
        self._size += len(data)

    def _open_handle(self) -> int:
        if self._handle is None:
            raise ValueError("the journal is closed")
        return self._handle


class JournalReader:
    """Iterates over the good frames of a journal; afterwards `tail_bytes` says how much was left unread.

    Each iteration starts from the beginning. Raises BadSession for a file that is not a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._good_bytes = 0

    def __iter__(self) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BadSession(
                    f"{self.path} is no journal of qwrist's, or is damaged; move it out of the folder"
                )
            self._good_bytes = len(MAGIC)
            while (frame := _next_frame(file)) is not None:
                self._good_bytes += _HEADER.size + len(frame.payload)
                yield frame

    @property
    def tail_bytes(self) -> int:
        """Bytes after the last good frame of the last iteration: 0 unless cut short or damaged."""
        return self.path.stat().st_size - self._good_bytes


def _next_frame(file: BinaryIO) -> Frame | None:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, kind, crc = _HEADER.unpack(header)
    if length > LARGEST_PAYLOAD:
        return None
    payload = file.read(length)
    if len(payload) < length or _crc(kind, payload) != crc:
        return None
    return Frame(kind, payload)


def _crc(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_PREFIX.pack(len(payload), kind)))
