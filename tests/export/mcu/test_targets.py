"""Targets: what fits passes, what does not is refused with by how much."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from export.mcu import TooLarge, check_fits, read_targets
from export.mcu.targets import find_target

NAME = "generic-m4"


@given(flash=st.integers(0, 10**6), arena=st.integers(0, 10**6))
def test_exactly_what_is_too_large_is_refused_with_by_how_much(flash: int, arena: int) -> None:
    target = find_target(NAME)
    over = [flash - target.flash_bytes, arena - target.arena_bytes]
    expected = [f"{excess:,} too many" for excess in over if excess > 0]
    if not expected:
        check_fits(flash, arena, NAME)
        return
    with pytest.raises(TooLarge) as refusal:
        check_fits(flash, arena, NAME)
    assert re.findall(r"[\d,]+ too many", str(refusal.value)) == expected


def test_the_bound_of_micro_is_a_target() -> None:
    target = read_targets()[NAME]
    assert (target.flash_bytes, target.arena_bytes) == (400 * 1024, 64 * 1024)


def test_an_unknown_target_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="generic-m4"):
        check_fits(1, 1, "pdp-11")


@pytest.mark.parametrize(
    "content", ["a: [", "a: {about: x}", "7", "a: {about: x, flash_bytes: 1, arena_bytes: 0}"]
)
def test_a_bad_list_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(content)
    with pytest.raises(BadInput):
        read_targets(path)
    with pytest.raises(BadInput):
        read_targets(tmp_path / "absent.yaml")
