from collections import Counter

import numpy as np
import pytest

from edge.errors import BadInput
from edge.normalize import prior_from
from personalize import base, recipe
from personalize.features import FramedSession
from personalize.pretrain import BYTES_A_MINUTE, People, check_people, pretrain
from personalize.recording import Person, Recording
from tests.personalize.toys import toy_session

MINUTES = 0.1
SMALL = {"steps": 6, "batch_windows": 2, "window_s": 1.0, "warmup_s": 0.2}


def person(number, read=None, sessions=2):
    def recording(index):
        def session():
            if read is not None:
                read[number, index] += 1
            return toy_session(10 * number + index, 8.0)

        return Recording(f"toy-{number}-{index}", f"toy {number} {index}", session)

    return Person(str(number), tuple(map(recording, range(sessions))))


def settings(**changes):
    return recipe.override(recipe.load("streaming"), SMALL | changes)


@pytest.fixture(scope="module")
def made():
    people, _, pretrained = _made()
    return people, pretrained


def _made():
    read = Counter()
    people = People((person(0, read), person(1, read)), (person(2, read, 1),), (person(3, read, 1),))
    return people, read, pretrain(people, settings(), seed=0, minutes_each=MINUTES)


def test_everybody_is_read_once_cut_to_the_minutes_asked_for_and_the_same_for_a_seed(made):
    _, read, again = _made()
    assert set(read.values()) == {1}
    assert len(read) == 6
    assert again.minutes == pytest.approx(4 * MINUTES, rel=0.01)
    for name, tensor in made[1].network.state_dict().items():
        assert (again.network.state_dict()[name] == tensor).all(), name


def test_a_base_is_written_and_read_with_everybody_it_has_met(made, tmp_path):
    people, pretrained = made
    card = pretrained.card(command="qwrist pretrain", seed=0, people=people.met)
    base.write(pretrained.network, card, tmp_path)
    found = base.card("streaming", tmp_path)
    assert found.people == ("0", "1", "2")
    assert list(found.zero_shot_cer_percent) == ["3"]
    assert (found.steps, found.users) == (6, ())
    assert base.load("streaming", tmp_path).name == "streaming"
    assert base.cards(tmp_path) == [found]
    with pytest.raises(BadInput, match="no base"):
        base.cards(tmp_path / "elsewhere")


def test_the_bases_statistics_are_everybodys_each_weighing_the_same(made):
    _, pretrained = made
    priors = []
    for number, sessions in ((0, 2), (1, 2), (2, 1)):
        frames = [
            FramedSession.of(toy_session(10 * number + i, 8.0)).between(0, 750) for i in range(sessions)
        ]
        priors.append(prior_from(session.frames for session in frames))
    found = pretrained.normalization.prior
    np.testing.assert_allclose(found.mean, np.mean([prior.mean for prior in priors], axis=0), atol=1e-5)
    assert (found.std**2 >= np.mean([prior.std**2 for prior in priors], axis=0) - 1e-4).all()


def test_networks_that_see_log_power_are_pretrained_too():
    people = People((person(0, sessions=1),), (person(1, sessions=1),))
    small = settings(network="spatial_lstm", steps=1)
    pretrained = pretrain(people, small, seed=0, minutes_each=MINUTES)
    assert pretrained.network.name == "spatial_lstm"
    assert pretrained.zero_shot == {}


def test_nobody_tests_the_base_who_has_made_it():
    people = People((person(0),), (person(1),), (person(1),))
    with pytest.raises(BadInput, match=r"^1 would train the base and test it"):
        check_people(people, 1.0, 1 << 40)


def test_a_base_of_nobody_is_refused():
    with pytest.raises(BadInput, match="nobody"):
        check_people(People((), (person(1),)), 1.0, 1 << 40)


def test_what_does_not_fit_into_memory_says_what_would():
    people = People((person(0), person(1)), (person(2),))
    check_people(people, 2.0, 12 * BYTES_A_MINUTE)
    with pytest.raises(BadInput, match=r"6 recordings .* --minutes 2\.0$"):
        check_people(people, 2.5, 12 * BYTES_A_MINUTE)


def test_a_minute_of_frames_takes_what_it_says():
    minute = FramedSession.of(toy_session(0, 60.0))
    assert minute.values.nbytes == pytest.approx(BYTES_A_MINUTE, rel=0.001)
