from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import NotEnoughData
from personalize.splits import split

MINUTE = 7500  # frames


@given(frames=st.lists(st.integers(2 * MINUTE, 20 * MINUTE), min_size=2, max_size=8))
def test_nothing_is_in_two_parts_and_nothing_is_lost(frames):
    names = [f"session-{i:04d}" for i in range(len(frames))]
    parts = split(names, frames)
    for name, count in zip(names, frames, strict=True):
        edges = sorted((part.start, part.stop) for part in parts if part.name == name)
        assert edges[0][0] == 0
        assert edges[-1][1] == count
        assert all(before[1] == after[0] for before, after in pairwise(edges))
    assert {part.role for part in parts} == {"train", "validation", "test"}


@given(frames=st.lists(st.integers(2 * MINUTE, 20 * MINUTE), min_size=2, max_size=8))
def test_the_last_recording_is_the_test_and_whole(frames):
    names = [f"session-{i:04d}" for i in range(len(frames))]
    tests = [part for part in split(names, frames) if part.role == "test"]
    assert [(t.name, t.start, t.stop) for t in tests] == [(names[-1], 0, frames[-1])]


def test_with_three_recordings_a_whole_one_chooses_the_epoch():
    parts = split(["a", "b", "c"], [MINUTE] * 3)
    assert [(p.name, p.role) for p in parts] == [("a", "train"), ("b", "validation"), ("c", "test")]


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([], "no sessions"),
        ([5 * MINUTE], "1 session of 300 s"),
        ([MINUTE, MINUTE], "48 s"),
        ([MINUTE // 2, MINUTE, MINUTE], "30 s"),
    ],
)
def test_too_little_is_refused_with_what_there_is(frames, says):
    with pytest.raises(NotEnoughData, match=says):
        split([str(i) for i in range(len(frames))], frames)
