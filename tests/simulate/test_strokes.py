"""Muscle drive: bounded, ahead of the press, and one hand's own."""

import numpy as np
import pytest

from edge.samples import SIDES, KeyPress
from simulate.anatomy import MUSCLES
from simulate.difficulty import preset
from simulate.keyboard import layout
from simulate.seeds import stream
from simulate.strokes import GRID_HZ, Hand

PLACES = layout(SIDES, "right")
NAMES = [muscle.name for muscle in MUSCLES]


def hand(side="left", difficulty="medium"):
    own = {key: place for key, place in PLACES.items() if place.side == side}
    return Hand.learn(own, preset(difficulty), stream("hand", 5))


def drive(keys, side="left", duration_s=4.0):
    return hand(side).drive([KeyPress(key, s, s + 0.11) for key, s in keys], duration_s, stream("drive", 5))


def test_a_drive_is_a_share_of_the_greatest_effort():
    driven = drive([("f", 1 + 0.1 * i) for i in range(20)])
    assert driven.shape == (4 * GRID_HZ + 1, len(MUSCLES))
    assert driven.min() > 0 and driven.max() < 1


@pytest.mark.parametrize(("key", "flexor", "extensor"), [("f", "FDS2", "EDC2"), ("a", "FDS5", "EDC5")])
def test_a_press_is_prepared_struck_and_released(key, flexor, extensor):
    pressed = drive([(key, 2.0)])
    at = np.arange(len(pressed)) / GRID_HZ
    strike = at[pressed[:, NAMES.index(flexor)].argmax()]
    release = at[pressed[:, NAMES.index(extensor)].argmax()]
    assert 1.90 < strike < 2.02
    assert min(abs(release - 1.885), abs(release - 2.105)) < 0.06


def test_the_other_hands_keys_move_nothing():
    assert np.array_equal(drive([("j", 2.0)]), drive([]))
    assert not hand().strikes(KeyPress("j", 0, 1)) and hand().strikes(KeyPress("F", 0, 1))


def test_presses_at_the_very_edges_are_cut_not_refused():
    assert np.isfinite(drive([("f", 0.0), ("d", 4.0), ("s", 9.0)])).all()
