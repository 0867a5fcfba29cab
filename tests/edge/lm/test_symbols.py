"""Symbols: every key that types is one, and text becomes what a keyboard would have typed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import BACKSPACE, CHARSET, ENTER, SHIFT, SPACE
from edge.edits import character
from edge.lm.symbols import BOUNDARY, BREAK, COUNT, OF_LABEL, SYMBOLS, symbols_of

LABELS = range(len(CHARSET.keys))


def test_there_is_a_symbol_for_each_key_that_types() -> None:
    silent = {CHARSET.index(BACKSPACE), CHARSET.index(SHIFT), CHARSET.blank}
    assert set(np.flatnonzero(OF_LABEL == BREAK).tolist()) == silent
    assert sorted(set(OF_LABEL.tolist()) - {BREAK}) == list(range(1, COUNT + 1))
    assert OF_LABEL[CHARSET.index(ENTER)] == OF_LABEL[CHARSET.index(SPACE)] == BOUNDARY
    assert OF_LABEL[CHARSET.index("a")] == OF_LABEL[CHARSET.index("A")]


@given(st.lists(st.sampled_from([i for i in LABELS if character(i).strip()])))
def test_text_and_keys_give_the_same_symbols(labels: list[int]) -> None:
    assert symbols_of("".join(map(character, labels))).tolist() == OF_LABEL[labels].tolist()


def test_typesetting_becomes_typing() -> None:
    assert symbols_of("“Café” – it’s…").tolist() == symbols_of('"cafe" - it\'s...').tolist()
    assert symbols_of(" a \n\t b\r\n").tolist() == symbols_of(" a b ").tolist()


def test_what_no_key_types_breaks_the_text() -> None:
    found = symbols_of("a世b\0")
    assert [SYMBOLS[s - 1] if s else None for s in found] == ["a", None, "b", None]
