"""The layout: every key of the charset has a place, and shifted keys share their twin's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import BACKSPACE, CHARSET, ENTER, SPACE
from edge.samples import SIDES
from simulate.keyboard import Pair, base_key, layout, needs_shift, neighbours, pair_of, same_finger

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


@pytest.mark.parametrize(
    ("before", "key", "pair"),
    [
        ("l", "l", Pair.REPEAT),
        ("e", "d", Pair.SAME_FINGER),
        ("a", "S", Pair.SAME_HAND),
        ("t", "h", Pair.ALTERNATE),
        ("e", SPACE, Pair.TO_SPACE),
        (SPACE, "e", Pair.FROM_SPACE),
        ("e", ENTER, Pair.TO_ENTER),
        (ENTER, SPACE, Pair.FROM_ENTER),
        (ENTER, BACKSPACE, Pair.TO_BACKSPACE),
        (BACKSPACE, BACKSPACE, Pair.BACKSPACES),
        (BACKSPACE, SPACE, Pair.FROM_BACKSPACE),
    ],
)
def test_pairs_are_told_apart_by_what_they_ask_of_the_hands(before, key, pair):
    assert pair_of(BOTH, before, key) is pair


@given(st.sampled_from(CHARSET.keys), st.sampled_from(CHARSET.keys))
def test_one_finger_cannot_be_of_two_hands(one, other):
    assert same_finger(BOTH, one, other) == same_finger(BOTH, other, one)
    if same_finger(BOTH, one, other):
        assert BOTH[base_key(one)].side == BOTH[base_key(other)].side
