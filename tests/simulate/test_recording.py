"""Performances as sessions: whole on disk and back, with or without keys."""

import numpy as np

from edge.session import read_session, write_session
from simulate.recording import to_session
from simulate.wearer import Wearer
from tests.edge.making import same


def test_a_session_survives_the_file(tmp_path):
    session = to_session(Wearer(4).perform(1, duration_s=12), user="demo")
    write_session(tmp_path / "session.hdf5", session)
    assert same(read_session(tmp_path / "session.hdf5"), session)
    assert session.simulated and not session.filtered and session.user == "demo"


def test_keys_and_prompts_lie_on_the_samples_clock():
    performance = Wearer(4).perform(1, duration_s=20)
    session = to_session(performance)
    assert session.user == "sim-4" and session.name == "sim-4-1"
    assert [key.press_s - session.time_s[0] for key in session.keys] == [
        np.float64(session.time_s[0] + key.press_s) - session.time_s[0] for key in performance.keys
    ]
    assert [prompt.text for prompt in session.prompts] == [f"{p.text}⏎" for p in performance.prompts]


def test_sessions_follow_each_other():
    first, second = (to_session(Wearer(4).perform(n, duration_s=10)) for n in (0, 1))
    assert first.time_s[-1] < second.time_s[0]


def test_without_a_keyboard_the_prompts_are_all_the_truth():
    session = to_session(Wearer(4).perform(0, duration_s=20), condition="prompted")
    assert session.keys == () and session.prompts and not session.on_keyboard


def test_one_band():
    session = to_session(Wearer(4, sides=("right",)).perform(0, duration_s=10))
    assert session.sides == ("right",) and not session.valid[:, 0].any() and session.valid[:, 1].all()
