"""Files that are whole or absent: written beside their place, synced, then renamed into it. And locks."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.errors import BadInput


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    _sync(folder, os.O_RDONLY)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path (0600) to fill; it becomes `path` if the block ends well, else it is gone.

    Readers, and whoever comes after a crash, see the old file or the new one.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def made_folder(path: Path) -> Path:
    """`path`, made with its parents where it is not there. Raises BadInput, with the system's reason."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be a folder to write to ({error.strerror}); name another one"
        ) from error
    return path


def require_room(folder: Path, size: int) -> None:
    """Raise OSError (ENOSPC) unless the disk of `folder` has room for `size` bytes more."""
    if shutil.disk_usage(folder).free < size:
        where = f"{folder}, where {size / 1e6:.1f} MB have to be free"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file at `path` for the block. Raises BlockingIOError where someone else has it."""
    handle = os.open(path, os.O_RDWR)
    with ExitStack() as stack:
        stack.callback(os.close, handle)
        lock(handle, wait=False)
        if os.name == "nt":  # where an open file cannot be removed: not by us, nor under whoever writes it
            stack.close()
        yield


if sys.platform == "win32":

    def lock(handle: int, *, wait: bool) -> None:
        """Lock an open file until it is closed. Raises BlockingIOError where someone else has it."""
        import msvcrt

        os.lseek(handle, 0x7FFF_FFFF, os.SEEK_SET)  # a locked byte cannot be read: the furthest there is
        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from error

else:

    def lock(handle: int, *, wait: bool) -> None:
        """Lock an open file until it is closed. Raises BlockingIOError where someone else has it."""
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
