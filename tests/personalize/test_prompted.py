from dataclasses import replace

import numpy as np
import pytest

from edge.normalize import prior_from
from personalize import recipe
from personalize.features import FramedSession
from personalize.labels import labels_of
from personalize.prompted import align_sessions, find_key_times, needs_alignment
from personalize.train import initial_network, train
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
    (logged, _), (prompted, _) = toys
    found = align_sessions(reader, [prompted])
    (session,) = found.sessions
    assert (found.prompts, found.usable) == (len(prompted.labels.phrases),) * 2
    pressed = np.concatenate([phrase.press_frame for phrase in session.labels.phrases])
    apart = np.abs(pressed - logged.labels.press_frame[: len(pressed)])
    assert np.median(apart) <= 2
    assert (apart < 6).mean() > 0.9


def test_another_prompts_text_finds_no_place(toys, reader):
    _, (prompted, _) = toys
    labels = prompted.labels
    first, *others = labels.phrases
    wrong = first._replace(classes=tuple(4 + label for label in first.classes))
    session = replace(prompted, labels=replace(labels, phrases=(wrong, *others)))
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


def test_a_second_round_follows_only_where_it_reads_validation_better(toys, reader):
    _, (training, validation) = toys
    found = find_key_times(reader, [training], [validation], QUICK, seed=0, most_rounds=5)
    read = [one.validation_cer_percent for one in found.rounds]
    assert read == sorted(read, reverse=True)
    assert len(set(read)) == len(read)
    assert all(one.moved > 0.05 for one in found.rounds[:-1])


def test_logs_of_keys_and_recipes_without_use_for_them_need_no_round(toys, reader):
    (logged, _), (prompted, validation) = toys
    assert not needs_alignment([logged], QUICK)
    assert needs_alignment([logged, prompted], QUICK)
    for sessions, settings in ((logged, QUICK), (prompted, QUICK.model_copy(update={"align": None}))):
        found = find_key_times(reader, [sessions], [validation], settings, seed=0)
        assert found.rounds == ()
        assert found.sessions == [sessions]


def test_one_who_hears_nothing_finds_nothing(toys):
    _, (training, validation) = toys
    once = QUICK.model_copy(update={"steps": 1})
    found = find_key_times(initial_network("streaming", 0), [training], [validation], once, seed=0)
    assert [one.usable for one in found.rounds] == [0]
    assert found.sessions[0].labels == training.labels
