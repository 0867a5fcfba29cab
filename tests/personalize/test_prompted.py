from dataclasses import replace

import numpy as np
import pytest

from edge.normalize import prior_from
from edge.scoring import Cer
from personalize import prompted, recipe
from personalize.features import FramedSession
from personalize.labels import labels_of
from personalize.prompted import AlignedSessions, align_sessions, find_key_times, needs_alignment
from personalize.train import Evaluation, Training, initial_network, train
from tests.personalize.toys import toy_session

QUICK = recipe.load("streaming").model_copy(
    update={"steps": 24, "evaluations": 1, "batch_windows": 2, "window_s": 2.0}
)


@pytest.fixture(scope="module")
def toys():
    """Training and validation recordings, prepared; each with its key log and, apart, as prompts alone."""
    framed = [FramedSession.of(toy_session(seed, seconds)) for seed, seconds in ((0, 20), (1, 8))]
    prior = prior_from(session.frames for session in framed[:1])
    keys = [session.prepared(prior) for session in framed]
    prompts = [
        replace(session, labels=labels_of(toy_session(seed, seconds, on_keyboard=False)))
        for session, (seed, seconds) in zip(keys, ((0, 20), (1, 8)), strict=True)
    ]
    return keys, prompts


@pytest.fixture(scope="module")
def reader(toys):
    """A network that reads the toys, taught by their key log."""
    (training, validation), _ = toys
    network = initial_network("streaming", 0)
    train(network, [training], [validation], QUICK, seed=0)
    return network


def test_keys_are_found_where_the_log_has_them(toys, reader):
    (logged, _), (asked, _) = toys
    found = align_sessions(reader, [asked])
    (session,) = found.sessions
    assert (found.prompts, found.usable) == (len(asked.labels.phrases),) * 2
    pressed = np.concatenate([phrase.press_frame for phrase in session.labels.phrases])
    apart = np.abs(pressed - logged.labels.press_frame[: len(pressed)])
    assert np.median(apart) <= 2
    assert (apart < 6).mean() > 0.9


def test_another_prompts_text_finds_no_place(toys, reader):
    _, (asked, _) = toys
    labels = asked.labels
    first, *others = labels.phrases
    wrong = first._replace(classes=tuple(4 + label for label in first.classes))
    session = replace(asked, labels=replace(labels, phrases=(wrong, *others)))
    found = align_sessions(reader, [session])
    assert found.usable == found.prompts - 1
    assert found.sessions[0].labels.phrases[0].press_frame == ()


def test_rounds_find_key_times_and_leave_the_network_alone(toys, reader):
    _, (training, validation) = toys
    before = {name: tensor.clone() for name, tensor in reader.state_dict().items()}
    steps = []
    found = find_key_times(
        reader, [training], [validation], QUICK, seed=0, progress=lambda *told: steps.append(told)
    )
    assert all((reader.state_dict()[name] == tensor).all() for name, tensor in before.items())
    assert 1 <= len(found.rounds) <= 2
    assert found.rounds[0].moved == 1
    assert found.rounds[-1].usable == len(training.labels.phrases)
    assert all(phrase.press_frame for phrase in found.sessions[0].labels.phrases)
    assert {told[1] for told in steps} == {6}, "a quarter of the recipe's steps"


def scripted(monkeypatch, validation_errors, shifts):
    """Trainings that read validation with so many errors, alignments of which each is shifted by so much."""
    errors, frames = iter(validation_errors), iter(shifts)

    def train_as_told(*_, **__):
        return Training(Evaluation(1, 0.0, Cer(next(errors), 0, 0, 100)), ())

    def align_as_told(_, sessions):
        at = next(frames)
        (session,) = sessions
        phrases = tuple(
            phrase._replace(press_frame=tuple(at + 4.0 * i for i in range(len(phrase.classes))))
            for phrase in session.labels.phrases
        )
        aligned = replace(session, labels=replace(session.labels, phrases=phrases))
        return AlignedSessions([aligned], len(phrases), len(phrases))

    monkeypatch.setattr(prompted, "train", train_as_told)
    monkeypatch.setattr(prompted, "align_sessions", align_as_told)


@pytest.mark.parametrize(
    ("errors", "shifts", "moved"),
    [
        ([50, 40, 30, 20], [0, 20, 40, 60], [1, 1, 1]),  # three at most
        ([50, 40, 30], [0, 2, 40], [1, 0]),  # the keys kept their places: within an emission, two frames
        ([50, 50, 30], [0, 20, 40], [1]),  # validation is read no better
    ],
)
def test_rounds_go_on_while_they_move_keys_and_read_better(toys, monkeypatch, errors, shifts, moved):
    _, (training, validation) = toys
    scripted(monkeypatch, errors, shifts)
    network = initial_network("streaming", 0)
    found = find_key_times(network, [training], [validation], QUICK, seed=0, most_rounds=3)
    assert [one.moved for one in found.rounds] == moved
    assert [one.validation_cer_percent for one in found.rounds] == errors[: len(moved)]
    assert found.sessions[0].labels.phrases[0].press_frame[0] == shifts[len(moved) - 1], "the last round's"


def test_logs_of_keys_and_recipes_without_use_for_them_need_no_round(toys, reader):
    (logged, _), (asked, validation) = toys
    assert not needs_alignment([logged], QUICK)
    assert needs_alignment([logged, asked], QUICK)
    for sessions, settings in ((logged, QUICK), (asked, QUICK.model_copy(update={"align": None}))):
        found = find_key_times(reader, [sessions], [validation], settings, seed=0)
        assert found.rounds == ()
        assert found.sessions == [sessions]


def test_one_who_hears_nothing_finds_nothing(toys):
    _, (training, validation) = toys
    once = QUICK.model_copy(update={"steps": 1})
    found = find_key_times(initial_network("streaming", 0), [training], [validation], once, seed=0)
    assert [one.usable for one in found.rounds] == [0]
    assert found.sessions[0].labels == training.labels
