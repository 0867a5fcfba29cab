"""The charset: the order is emg2qwerty's, and nothing can change it."""

from __future__ import annotations

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import BACKSPACE, CHARSET, ENTER, SHIFT, SPACE, Charset


def test_order_is_emg2qwertys() -> None:
    assert len(CHARSET.keys) == 98
    assert CHARSET.num_classes == 99
    assert CHARSET.blank == 98
    assert "".join(CHARSET.keys[:62]) == string.ascii_lowercase + string.ascii_uppercase + string.digits
    assert "".join(CHARSET.keys[62:94]) == "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    assert CHARSET.keys[94:] == (BACKSPACE, ENTER, SPACE, SHIFT)


def test_hash_is_pinned_and_order_changes_it() -> None:
    # A model that was trained with another order must not decode here: this value never changes.
    assert CHARSET.sha256 == "11f32f06b1b8b955382494d0bea163df6c4f9ec1e45a27341421720673234418"
    assert Charset(tuple(reversed(CHARSET.keys))).sha256 != CHARSET.sha256


@pytest.mark.parametrize(
    ("alias", "key"),
    [
        (" ", SPACE),
        ("\n", ENTER),
        ("⏎", ENTER),
        ("\b", BACKSPACE),
        ("⌫", BACKSPACE),
        ("Key.shift_l", SHIFT),
        ("Key.shift_r", SHIFT),
    ],
)
def test_aliases(alias: str, key: str) -> None:
    assert alias in CHARSET
    assert CHARSET.keys[CHARSET.index(alias)] == key


def test_keys_outside_are_left_out_and_refused_one_by_one() -> None:
    assert CHARSET.labels(["a", "Key.left", "é", "Key.ctrl", "Key.enter"]) == [0, 95]
    assert "Key.left" not in CHARSET
    with pytest.raises(KeyError):
        CHARSET.index("Key.left")


def test_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHARSET.keys = ("a",)  # type: ignore[misc]


@given(st.lists(st.integers(0, 97)))
def test_render_and_labels_are_inverse(labels: list[int]) -> None:
    text = CHARSET.render(labels)
    assert len(text) == len(labels)
    assert CHARSET.labels(key for key in text if key != "⇧") == [i for i in labels if i != 97]
    assert CHARSET.labels(CHARSET.keys[i] for i in labels) == labels
