"""The print of a model: of the recordings that trained it, made once."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BadInput
from edge.session import write_session
from edge.store import User, UserStore
from personalize import splits
from personalize.donning import prints, seats
from personalize.features import log_power
from personalize.fit import personalize_user
from personalize.prints import FILE_NAME, trained_on
from tests.personalize.rings import ring_session
from tests.personalize.test_fit import BARELY


@pytest.fixture
def user(tmp_path, monkeypatch) -> User:
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)
    user = UserStore(tmp_path).create("ada")
    for seed, turned in enumerate((-1, 1, 0, 0, 0)):  # three to train, validation, test
        write_session(user.session_path(user.new_session_name()), ring_session(seed, 12, turned=turned))
    personalize_user(user, BARELY)
    return user


def turns(before, turned):
    return [seat.turned for seat in seats(before, prints(log_power(ring_session(9, 20, turned=turned))))]


def test_it_is_made_of_the_training_recordings_once(user) -> None:
    folder = user.current()
    made = trained_on(user, folder)
    assert turns(made, 2) == [2, 2], "amid the donnings of training"
    for path in user.sessions():
        path.unlink()
    again = trained_on(user, folder)
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.together, other.together)
        np.testing.assert_array_equal(one.level, other.level)


def test_recordings_that_are_gone_are_left_out_until_none_is_left(user) -> None:
    folder, (first, second, third, *_) = user.current(), user.sessions()
    first.unlink()
    third.unlink()
    assert turns(trained_on(user, folder), 3) == [2, 2], "of the second alone, which was turned by 1"
    (folder / FILE_NAME).unlink()
    second.unlink()
    with pytest.raises(BadInput, match="no recording that model 0001 was trained on"):
        trained_on(user, folder)
    (folder / FILE_NAME).write_text('{"left": null}')
    with pytest.raises(BadInput, match="delete it"):
        trained_on(user, folder)
