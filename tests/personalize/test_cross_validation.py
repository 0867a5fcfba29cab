"""Each sentence is read by a network that never saw it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.edits import text_of
from edge.scoring import Cer
from personalize import cross_validation, recipe
from personalize.cross_validation import FOLDS, Lesson, Told, cross_validate, folds, sentences_of
from personalize.features import FramedSession
from personalize.train import initial_network
from tests.personalize.toys import toy_session

BARELY = recipe.override(
    recipe.load("touch_up"), {"steps": 1, "batch_windows": 2, "window_s": 2.0, "warmup_s": 0.5}
)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    session = toy_session(0, 40)
    framed = FramedSession.of(session).prepared(None)
    return Lesson(framed, sentences_of(session), (framed.between(0, 1000),))


@pytest.mark.parametrize("on_keyboard", [True, False])
def test_sentences_are_the_prompts_with_the_keys_that_were_pressed(on_keyboard) -> None:
    session = toy_session(0, 20, on_keyboard=on_keyboard)
    found = sentences_of(session)
    assert [text_of(one.classes) for one in found] == [prompt.text for prompt in session.prompts]
    slip = session.keys[3:4]
    if slip:
        wrong = replace(session, keys=(*session.keys[:3], slip[0]._replace(key="x"), *session.keys[4:]))
        assert text_of(sentences_of(wrong)[0].classes)[3] == "x", "what was typed, not what was shown"


def test_keys_without_prompts_are_cut_into_stretches() -> None:
    session = toy_session(0, 20)
    found = sentences_of(replace(session, prompts=()))
    assert sum(len(one.classes) for one in found) == len(session.keys)
    assert len(found) > 1


def test_folds_hold_each_sentence_once_and_leave_nothing_of_it_to_learn(lesson) -> None:
    cut = list(folds(lesson))
    assert len(cut) == FOLDS
    assert [one for sentences, _ in cut for one in sentences] == list(lesson.sentences)
    for sentences, others in cut:
        assert sentences
        held = sum(len(one.classes) for one in sentences)
        assert sum(piece.labels.count for piece in others) == lesson.new.labels.count - held
        start, stop = sentences[0].start_frame, sentences[-1].end_frame
        frames = sum(len(piece.values) for piece in others)
        assert frames <= len(lesson.new.values) - (stop - start) or len(others) < 2


def test_what_reads_a_sentence_was_not_taught_it(lesson, monkeypatch) -> None:
    taught = []
    real = cross_validation.train

    def train(network, pieces, *rest, **settings):
        taught.append([piece.values for piece in pieces])
        return real(network, pieces, *rest, **settings)

    monkeypatch.setattr(cross_validation, "train", train)
    network = initial_network("streaming", 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    told = cross_validate(network, lesson, BARELY, seed=0)
    assert len(told.before) == len(told.after) == len(lesson.sentences)
    assert all((network.state_dict()[name] == value).all() for name, value in before.items())
    for (sentences, _), pieces in zip(folds(lesson), taught, strict=True):
        middle = round((sentences[0].start_frame + sentences[-1].end_frame) / 2)
        unseen = lesson.new.values[middle]
        *others, rehearsed = pieces
        assert not any((values == unseen).all((1, 2, 3)).any() for values in others)
        assert rehearsed is lesson.rehearsal[0].values


def test_the_probability_pairs_sentences() -> None:
    counts = [Cer(0, 0, errors, 8) for errors in (4, 5, 6, 4, 5, 6)]
    better = [cer._replace(substitutions=cer.substitutions - 2) for cer in counts]
    assert Told(counts, better).probability == 1
    assert Told(better, counts).probability == 0
    mixed = [
        cer._replace(substitutions=cer.substitutions + change)
        for cer, change in zip(counts, (-2, 2) * 3, strict=True)
    ]
    assert 0.1 < Told(counts, mixed).probability < 0.6
    assert np.isfinite(Told(counts, counts).probability)
