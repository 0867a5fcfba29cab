"""Sessions: contradictions are refused in one sentence, files give back every bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadSession
from edge.samples import RATE_HZ, KeyPress, Prompt, SegmentStart
from edge.session import PROMPTED, Session, read_session, write_session
from edge.session_layout import Plan
from tests.edge.making import START_S, make_session, same

SAMPLES = 100
TIMES = START_S + np.arange(SAMPLES) / RATE_HZ

LEFT = np.stack([np.ones(SAMPLES, np.bool_), np.zeros(SAMPLES, np.bool_)], 1)
START = SegmentStart(50, "left", "reconnected", 9, 0)


def with_value(array: np.ndarray[Any, Any], at: Any, value: float) -> np.ndarray[Any, Any]:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"time_s": TIMES[:0]}, "no samples"),
        ({"time_s": TIMES[:50]}, r"emg_uv has the shape \(100, 2, 16\), expected \(50, 2, 16\)"),
        ({"valid": np.ones((SAMPLES, 3), np.bool_)}, r"valid has the shape \(100, 3\)"),
        ({"time_s": with_value(TIMES, 60, START_S)}, "backwards by .* after sample 59"),
        ({"time_s": with_value(TIMES, 60, np.nan)}, "time is not finite at sample 60"),
        ({"time_s": START_S + np.arange(SAMPLES) / 1000}, "says 1000 Hz, expected 2000 Hz"),
        ({"time_s": START_S + np.arange(SAMPLES) / 2048}, "says 2048 Hz"),
        ({"time_s": np.full(SAMPLES, START_S)}, "no progress"),
        (
            {"emg_uv": with_value(np.zeros((SAMPLES, 2, 16), np.float32), (7, 1, 3), np.nan)},
            "sample 7 of electrode 3 of the right band",
        ),
        (
            {"emg_uv": with_value(np.zeros((SAMPLES, 2, 16), np.float32), (8, 0, 0), np.inf)},
            "sample 8 of electrode 0 of the left band",
        ),
        ({"sides": ()}, "sides"),
        ({"sides": ("right", "left")}, "in this order"),
        ({"sides": ("left",)}, "right band was not worn"),
        ({"keys": (KeyPress("a", 2.0, 1.0),)}, "'a' is released at 1.0"),
        ({"keys": (KeyPress("a", np.nan, 1.0),)}, "'a'"),
        ({"keys": (KeyPress("a", 2.0, 3.0), KeyPress("b", 1.0, 3.0))}, "'b' at 1.0 s comes after"),
        (
            {"sides": ("left",), "valid": LEFT, "segments": (START._replace(side="right"),)},
            "segment of the right band begins, which was not worn",
        ),
        ({"segments": (START._replace(first_index=SAMPLES),)}, "begins at sample 100 of 100"),
        ({"segments": (START, START._replace(first_index=1))}, "sample 1 comes after a later one"),
        ({"prompts": (Prompt("x", 2.0, 1.0),)}, "'x' ends at 1.0"),
        ({"prompts": (Prompt("x", 2.0, 3.0), Prompt("y", 1.0, 3.0))}, "'y' at 1.0 s comes after"),
    ],
)
def test_contradictions_are_refused_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSession, match=said) as raised:
        make_session(SAMPLES, **changes)
    assert "\n" not in str(raised.value)


def test_clock_tolerance_admits_crystals() -> None:
    for drift in (-3e-4, 3e-4):
        make_session(SAMPLES, time_s=START_S + np.arange(SAMPLES) / (RATE_HZ * (1 + drift)))


def test_properties() -> None:
    session = make_session(SAMPLES)
    assert session.duration_s == SAMPLES / RATE_HZ
    assert session.on_keyboard
    assert session.labels == [7, 4, 11, 11, 14, 95]
    assert not make_session(SAMPLES, condition=PROMPTED, keys=()).on_keyboard


finite = st.floats(0, 100).map(lambda s: START_S + s)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    samples = draw(st.integers(1, 300))
    sides = draw(st.sampled_from([("left",), ("right",), ("left", "right")]))
    worn = np.array([side in sides for side in ("left", "right")])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    valid = (rng.random((samples, 2)) > draw(st.sampled_from([-1.0, 0.1, 0.9]))) & worn
    presses = sorted(draw(st.lists(st.tuples(finite, st.floats(0, 1), texts), max_size=4)))
    prompts = sorted(draw(st.lists(st.tuples(finite, st.floats(0, 9), texts), max_size=3)))
    starts = st.builds(
        SegmentStart,
        st.integers(0, samples - 1),
        st.sampled_from(sides),
        st.sampled_from(["reconnected", "restarted"]),
        st.integers(0, 2**40),
        st.integers(0, 2**40),
    )
    return make_session(
        samples,
        sides=sides,
        valid=valid,
        name=draw(texts.filter(lambda t: "\0" not in t)),
        condition=draw(st.sampled_from(["on_keyboard", "prompted"])),
        filtered=draw(st.booleans()),
        simulated=draw(st.booleans()),
        keys=tuple(KeyPress(key, at, at + held) for at, held, key in presses),
        prompts=tuple(Prompt(text, at, at + held) for at, held, text in prompts),
        segments=tuple(sorted(draw(st.lists(starts, max_size=3)), key=lambda start: start.first_index)),
        source=draw(texts),
        plan=draw(st.none() | st.builds(Plan, deck=st.integers(0, 99), wanted_s=st.floats(1, 1e5))),
    )


@settings(max_examples=30, deadline=None)
@given(sessions())
def test_a_file_gives_back_every_bit(tmp_path_factory: pytest.TempPathFactory, session: Session) -> None:
    path = tmp_path_factory.mktemp("sessions") / "a.hdf5"
    write_session(path, session)
    assert same(read_session(path), session)


def test_same_notices_every_field() -> None:
    session = make_session(SAMPLES)
    changes: list[dict[str, Any]] = [
        {"name": "b"},
        {"user": "b"},
        {"condition": "prompted"},
        {"filtered": True},
        {"simulated": False},
        {"time_s": with_value(TIMES, 99, TIMES[99] + 1e-6)},
        {"emg_uv": with_value(session.emg_uv, (0, 0, 0), 1.0)},
        {"valid": with_value(session.valid, (0, 0), False)},
        {"keys": session.keys[1:]},
        {"prompts": ()},
        {"calibrated": False},
        {"segments": (START,)},
        {"source": "others"},
        {"plan": Plan(deck=1, wanted_s=60.0)},
    ]
    assert same(make_session(SAMPLES), session)
    for change in changes:
        assert not same(make_session(SAMPLES, **change), session)


def test_longer_than_a_slice(tmp_path: Path) -> None:
    session = make_session((1 << 16) + 5)
    write_session(tmp_path / "a.hdf5", session)
    assert same(read_session(tmp_path / "a.hdf5"), session)


def test_an_unstated_unit_is_not_passed_off_as_microvolts(tmp_path: Path) -> None:
    with pytest.raises(BadSession, match="unstated unit"):
        write_session(tmp_path / "a.hdf5", make_session(SAMPLES, calibrated=False))
    assert list(tmp_path.iterdir()) == []
