"""Replay: the same samples, keys and times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.replay import FileSource, SessionKeys
from edge.samples import SampleChunk, SegmentStart
from edge.session import write_session
from tests.edge.making import START_S, make_session


async def collect(source: FileSource) -> list[SampleChunk]:
    return [chunk async for chunk in source.chunks()]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 500), st.integers(1, 300))
def test_all_samples_once_in_order(samples: int, chunk_samples: int) -> None:
    valid = np.random.default_rng(0).random((samples, 2)) > 0.1
    session = make_session(samples, valid=valid)
    chunks = asyncio.run(collect(FileSource(session, chunk_samples=chunk_samples)))
    np.testing.assert_array_equal(np.concatenate([c.emg_uv for c in chunks]), session.emg_uv)
    np.testing.assert_array_equal(np.concatenate([c.time_s for c in chunks]), session.time_s)
    np.testing.assert_array_equal(np.concatenate([c.valid for c in chunks]), session.valid)
    ends = np.cumsum([len(c.time_s) for c in chunks])
    assert [c.first_index for c in chunks] == [0, *ends[:-1]]


def test_breaks_are_where_they_were() -> None:
    breaks = (
        SegmentStart(10, "left", "reconnected", 5, 0),
        SegmentStart(64, "right", "restarted", 7, 3),
        SegmentStart(199, "left", "reconnected", 1, 0),
    )
    chunks = asyncio.run(collect(FileSource(make_session(200, segments=breaks))))
    assert [(c.first_index, c.segments) for c in chunks] == [
        (0, breaks[:1]),
        (64, breaks[1:2]),
        (128, ()),
        (192, breaks[2:]),
    ]


def test_from_a_file(tmp_path: Path) -> None:
    session = make_session(200, filtered=True)
    write_session(tmp_path / "a.hdf5", session)
    source = FileSource.open(tmp_path / "a.hdf5")
    assert source.info == ("session-0001", 2000, ("left", "right"), True)
    assert sum(len(c.time_s) for c in asyncio.run(collect(source))) == 200


@pytest.mark.parametrize(("speed", "waited_s"), [(1.0, 0.1), (4.0, 0.025)])
def test_speed_is_kept_by_the_loops_clock(
    monkeypatch: pytest.MonkeyPatch, speed: float, waited_s: float
) -> None:
    now_s = [5.0]

    async def sleep(duration_s: float) -> None:
        now_s[0] += duration_s

    async def play() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s[0])
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await collect(FileSource(make_session(200), speed))
        monkeypatch.undo()

    asyncio.run(play())
    assert now_s[0] - 5.0 == pytest.approx(waited_s)


@given(st.lists(st.floats(-1, 3), max_size=8))
def test_keys_come_once_in_order_and_never_early(polls: list[float]) -> None:
    session = make_session(100)
    keys = SessionKeys(session)
    delivered = []
    for poll in polls:
        due = keys.until(START_S + poll)
        assert all(key.press_s <= START_S + poll for key in due)
        delivered += due
    reached = max(polls, default=-1)
    assert delivered == [key for key in session.keys if key.press_s <= START_S + reached]
