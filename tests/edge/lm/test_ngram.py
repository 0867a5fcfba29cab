"""The automaton: states are the longest known contexts, rows do not depend on what was asked before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.lm import Weighted, build
from edge.lm import ngram as module
from edge.lm.ngram import NgramModel
from edge.lm.symbols import BOUNDARY, BREAK

MODEL = build([Weighted("she sells sea shells by the sea shore. " * 5)], order=4).model


def test_a_context_is_entered_and_forgotten() -> None:
    state = MODEL.start
    depths = []
    for symbol in (20, 9, 6, BOUNDARY, 27, 27):  # "she ", then z that was never read
        state = int(MODEL.rows(np.array([state])).following[0, symbol])
        depths.append(int(MODEL._automaton.length[state]))
    assert depths == [2, 3, 3, 3, 0, 0]


def test_a_break_costs_nothing_and_stays() -> None:
    states = np.arange(MODEL.contexts)
    rows = MODEL.rows(states)
    assert (rows.log_p[:, BREAK] == 0).all()
    assert np.array_equal(rows.following[:, BREAK], states)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, MODEL.contexts - 1), max_size=30), max_size=5))
def test_rows_do_not_depend_on_what_was_asked_before(asked: list[list[int]]) -> None:
    fresh = NgramModel(MODEL.orders)
    for states in (np.array(one, np.int64) for one in asked):
        found, expected = fresh.rows(states), MODEL.rows(states)
        assert np.array_equal(found.log_p, expected.log_p)
        assert np.array_equal(found.following, expected.following)


def test_a_full_cache_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 10)
    small = NgramModel(MODEL.orders)
    for first in range(0, 60, 7):
        states = np.arange(first, first + 8) % MODEL.contexts
        assert np.array_equal(small.rows(states).log_p, MODEL.rows(states).log_p)


def test_n_grams_without_their_shorter_ones_are_refused() -> None:
    orders = list(MODEL.orders)
    orders[1] = type(orders[1])(*(column[1:] for column in orders[1]))
    with pytest.raises(BadInput, match="do not follow from its shorter"):
        NgramModel(tuple(orders))
