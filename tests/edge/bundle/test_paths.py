"""Paths inside a bundle: none leads out, no two become one on another system."""

from __future__ import annotations

import posixpath
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.bundle import paths

BAD = [
    "", ".", "..", "../eve", "a/../b", "a/..", "./a", "a//b", "/a", "a/", "\\a", "a\\b", "a/b\\c", "C:/a",
    "C:a", "//host/share", "a\0b", "a\nb", "a b", "a.", "a./b", ".hidden", "a/.b", "-a", "~", "con", "CON",
    "aux.txt", "a/nul/b", "lpt9.tar.gz", "ä", "а", "a:b", "a*", "a?", "a\u2024b", "ｆullwidth", "a" * 65,
    "a/" * 6 + "a", "/".join(["a" * 60] * 3),
]  # fmt: skip
GOOD = ["a", "model.json", "golden/typing/samples.bin", "samples/android/src/Qwrist.kt", "A+b-c_1.so.2", "_x"]


@pytest.mark.parametrize("path", BAD)
def test_bad_paths_are_refused(path: str) -> None:
    assert paths.fault(path) is not None
    assert paths.first_fault(["model.json", path]) is not None


@pytest.mark.parametrize("path", GOOD)
def test_good_paths_pass(path: str) -> None:
    assert paths.fault(path) is None


SPICE = st.sampled_from(["..", ".", "/", "\\", "a", "B", "con", "nul.txt", ":", "~", "\0", " ", "model.json"])


@given(st.one_of(st.text(max_size=30), st.lists(SPICE, max_size=8).map("".join)))
@example("a/../../b")
def test_what_passes_stays_inside_on_every_system(path: str) -> None:
    if paths.fault(path) is not None:
        return
    assert path.isascii()
    assert posixpath.normpath(path) == path
    assert not path.startswith("/")
    windows = PureWindowsPath(path)
    assert not windows.is_absolute()
    assert not windows.drive
    assert not windows.root
    assert not windows.is_reserved()
    assert windows.as_posix() == path
    root = Path("/bundle")
    assert (root / path).is_relative_to(root)
    assert ".." not in (root / path).parts


@pytest.mark.parametrize(
    "clash",
    [
        ("a", "A"),
        ("golden/x", "GOLDEN/x"),
        ("golden/x", "Golden/y"),
        ("a", "a/b"),
        ("A", "a/b"),
        ("a/b/c", "a/b"),
    ],
)
def test_no_two_paths_become_one(clash: tuple[str, str]) -> None:
    assert paths.first_fault(clash) is not None
    assert paths.first_fault(reversed(clash)) is not None


@given(
    st.lists(st.sampled_from(["a", "b", "A", "a/b", "a/B", "b/c/d", "B/c/e", "c/d"]), max_size=6, unique=True)
)
def test_what_passes_together_can_lie_together_where_case_does_not_count(names: list[str]) -> None:
    nodes = [node for name in names for node in (*paths.folders(name), name)]
    spellings = {node.lower(): node for node in nodes}
    apart = all(spellings[node.lower()] == node for node in nodes) and not {n.lower() for n in names} & {
        folder.lower() for name in names for folder in paths.folders(name)
    }
    assert (paths.first_fault(names) is None) == apart


def test_folders_are_outermost_first() -> None:
    assert paths.folders("a/b/c.bin") == ["a", "a/b"]
    assert paths.folders("a") == []
