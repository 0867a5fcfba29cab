"""The roll: samples turned back, and when what was measured holds no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.replay import FileSource
from edge.roll import (
    STRAIGHT,
    WORN_S,
    Roll,
    Rolled,
    drop,
    in_words,
    keep,
    kept,
    newest_recording,
    parse_turns,
    roll,
)
from edge.samples import ELECTRODES, WRISTS, SampleChunk
from edge.session import write_session
from edge.store import UserStore
from tests.edge.making import make_session

turns = st.tuples(st.integers(-8, 8), st.integers(-8, 8))
NOW_S = 1.8e9
MEASURED = Roll(measured_s=NOW_S - 60, turned=(1, -2), model="0002", newest="session-0003")


@given(turns)
def test_todays_electrode_goes_where_it_sat_in_training(turned) -> None:
    emg = np.arange(3 * WRISTS * ELECTRODES, dtype=np.float32).reshape(3, WRISTS, ELECTRODES)
    rolled = roll(emg, turned)
    for wrist, turn in enumerate(turned):
        for electrode in range(ELECTRODES):
            np.testing.assert_array_equal(
                rolled[:, wrist, (electrode + turn) % ELECTRODES], emg[:, wrist, electrode]
            )
    np.testing.assert_array_equal(roll(rolled, (-turned[0], -turned[1])), emg)


@settings(max_examples=20, deadline=None)
@given(turns, st.integers(1, 70))
def test_a_rolled_source_differs_in_its_samples_alone_however_it_is_cut(turned, chunk_samples) -> None:
    session = make_session(200)

    async def collect(rolled: bool) -> list[SampleChunk]:
        source = FileSource(session, chunk_samples=chunk_samples)
        return [chunk async for chunk in (Rolled(source, turned) if rolled else source).chunks()]

    plain, rolled = (asyncio.run(collect(rolled)) for rolled in (False, True))
    np.testing.assert_array_equal(
        np.concatenate([chunk.emg_uv for chunk in rolled]), roll(session.emg_uv, turned)
    )
    assert [(c.first_index, c.time_s.tolist(), c.valid.tolist()) for c in plain] == [
        (c.first_index, c.time_s.tolist(), c.valid.tolist()) for c in rolled
    ]
    assert Rolled(FileSource(session), turned).info == FileSource(session).info


@given(turns)
def test_turns_are_read_as_they_are_written(turned) -> None:
    assert parse_turns(f"{turned[0]},{turned[1]}") == turned


@pytest.mark.parametrize(
    "text", ["", "1", "1,", "1,2,3", "9,0", "0,-9", "a,b", "1, 0", "+1,0", "100,0", "1.5,0"]
)
def test_other_turns_are_refused(text) -> None:
    with pytest.raises(BadInput, match="--turned is"):
        parse_turns(text)


def test_a_roll_holds_for_its_model_and_its_donning() -> None:
    here = (Path("models/0002"), "session-0003", NOW_S)
    assert MEASURED.stale(*here) is None
    assert "0003 is used" in str(MEASURED.stale(Path("models/0003"), *here[1:]))
    assert "session-0004 was recorded since" in str(MEASURED.stale(here[0], "session-0004", NOW_S))
    for now_s in (NOW_S - 61, NOW_S - 59 + WORN_S):
        assert "16 hours" in str(MEASURED.stale(*here[:2], now_s))


def test_it_is_kept_and_dropped_with_its_user(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    user = store.create("ada")
    assert (kept(user), newest_recording(user)) == (None, "")
    write_session(user.session_path(user.new_session_name()), make_session(100))
    assert newest_recording(user) == "session-0001"
    keep(user, MEASURED)
    assert kept(user) == MEASURED
    drop(user)
    drop(user)
    assert kept(user) is None
    keep(user, MEASURED)
    store.forget("ada")
    assert not user.donning.exists()


@pytest.mark.parametrize(
    "content", ["", "{}", '{"turned": [1]}', MEASURED.model_dump_json().replace("-2", "-9")]
)
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    user = UserStore(tmp_path).create("ada")
    user.donning.write_text(content)
    with pytest.raises(BadInput, match="qwrist don --user ada"):
        kept(user)


def test_in_words() -> None:
    assert in_words(STRAIGHT) == "left +0, right +0"
    assert in_words((1, -2)) == "left +1, right -2"
