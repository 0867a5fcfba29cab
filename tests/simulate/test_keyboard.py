"""The layout: every key of the charset has a place, and shifted keys share their twin's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET, SPACE
from edge.samples import SIDES
from simulate.keyboard import base_key, layout, needs_shift, neighbours

BOTH = layout(SIDES, "right")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@given(st.sampled_from(CHARSET.keys))
def test_every_key_of_the_charset_has_a_place(key):
    assert base_key(key) in BOTH
    assert not needs_shift(base_key(key))


def test_hands_and_fingers_are_those_of_a_typing_course():
    assert [BOTH[key].side for key in "fjtyb"] == ["left", "right", "left", "right", "left"]
    assert [BOTH[key].finger for key in "aqz;pfj"] == [4, 4, 4, 4, 4, 1, 1]
    assert BOTH["g"].reach == BOTH["h"].reach == 1
    assert all(BOTH[key].reach == 0 for key in "asdfjkl;")
    assert base_key("T") == "t" and base_key("?") == "/" and base_key(" ") == SPACE


@given(st.sampled_from(LETTERS))
def test_a_neighbour_is_mutual_and_under_the_same_hand(letter):
    near = neighbours(BOTH, letter)
    assert near
    for other in near:
        assert letter in neighbours(BOTH, other)
        assert BOTH[other].side == BOTH[letter].side


@pytest.mark.parametrize("side", SIDES)
def test_one_hand_has_every_key(side):
    alone = layout((side,), "right")
    assert alone.keys() == BOTH.keys()
    assert {place.side for place in alone.values()} == {side}
