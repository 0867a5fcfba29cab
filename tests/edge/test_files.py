"""Files are whole or absent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge.errors import BadInput
from edge.files import made_folder, replacing, require_room, write_atomically


def test_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"old and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_is_private(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def write_half(path: Path, interruption: BaseException) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise interruption


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(interruption):
        write_half(path, interruption())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_a_folder_that_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert made_folder(made_folder(tmp_path / "a" / "b")).is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"file cannot be a folder to write to \(File exists\)"):
        made_folder(tmp_path / "file")
    with pytest.raises(BadInput, match="Not a directory"):
        made_folder(tmp_path / "file" / "below")


def test_room_that_is_not_there_is_a_full_disk(tmp_path: Path) -> None:
    require_room(tmp_path, 1)
    with pytest.raises(OSError, match=r"1000000000000\.0 MB have to be free") as raised:
        require_room(tmp_path, 10**18)
    assert raised.value.errno == errno.ENOSPC
