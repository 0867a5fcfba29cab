from dataclasses import replace

import numpy as np

from edge.charset import CHARSET
from edge.samples import KeyPress, Prompt
from personalize.labels import Phrase, labels_of
from tests.personalize.toys import START_S, toy_session


def press(key, at_s):
    return KeyPress(key, START_S + at_s, START_S + at_s + 0.1)


def test_presses_become_frames_by_the_time_of_their_sample():
    session = replace(toy_session(duration_s=4), keys=(press("a", 1.0), press("Key.space", 2.5)))
    labels = labels_of(session)
    assert CHARSET.render(labels.classes.tolist()) == "a "
    np.testing.assert_allclose(labels.press_frame, [125.0, 312.5], atol=1e-3)
    assert labels.timed and labels.count == 2


def test_a_corrected_clock_does_not_move_a_press_against_its_samples():
    session = toy_session(duration_s=4)
    time_s = session.time_s.copy()
    time_s[4000:] += 0.05  # the host's clock was found to be late, after 2 s
    late = replace(session, time_s=time_s, keys=(press("a", 3.05),))
    np.testing.assert_allclose(labels_of(late).press_frame, [3.0 * 125], atol=1e-2)


def test_presses_outside_the_recording_and_unknown_keys_are_left_out():
    keys = (press("b", -1.0), press("Key.ctrl", 1.0), press("a", 2.0), press("c", 99.0))
    labels = labels_of(replace(toy_session(duration_s=4), keys=keys))
    assert CHARSET.render(labels.classes.tolist()) == "a"


def test_prompts_are_the_labels_where_there_was_no_keyboard():
    prompts = (Prompt("ab⏎", START_S + 1, START_S + 2), Prompt("c", START_S + 3, START_S + 99))
    session = replace(toy_session(duration_s=4, on_keyboard=False), prompts=prompts)
    labels = labels_of(session)
    assert not labels.timed
    assert [CHARSET.render(p.classes) for p in labels.phrases] == ["ab⏎"], "the second was not recorded whole"
    assert labels.count == 3
    assert len(labels.classes) == 0


def test_a_part_counts_from_its_start_and_keeps_whole_phrases_only():
    keyboard = labels_of(replace(toy_session(duration_s=4), keys=(press("a", 1.0), press("b", 2.0))))
    part = keyboard.between(130, 400)
    assert CHARSET.render(part.classes.tolist()) == "b"
    np.testing.assert_allclose(part.press_frame, [120.0], atol=1e-3)
    prompts = (Prompt("a", START_S + 1, START_S + 2), Prompt("b", START_S + 2.2, START_S + 3))
    prompted = labels_of(replace(toy_session(duration_s=4, on_keyboard=False), prompts=prompts))
    assert [CHARSET.render(p.classes) for p in prompted.between(130, 400).phrases] == ["b"]


def test_key_times_of_a_phrase_move_with_it():
    phrase = Phrase(10.0, 30.0, (0, 1), press_frame=(12.0, 20.5), doubt_frame=(15.0,))
    assert phrase.shifted(-4.0) == Phrase(6.0, 26.0, (0, 1), press_frame=(8.0, 16.5), doubt_frame=(11.0,))
    labels = replace(labels_of(toy_session(duration_s=4, on_keyboard=False)), phrases=(phrase,))
    assert labels.between(5, 40).phrases == (phrase.shifted(-5.0),)
