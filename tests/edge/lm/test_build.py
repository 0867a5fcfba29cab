"""Building: an estimate from the definition, distributions that sum to 1, and texts that are refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.lm import Weighted, build
from edge.lm.build import FLOOR
from edge.lm.ngram import NgramModel
from edge.lm.symbols import COUNT, symbols_of
from tests.edge.making import shared_data

texts = st.text("ab c.é\n", min_size=100, max_size=300)


def witten_bell(symbols: list[int], order: int, history: list[int], symbol: int) -> float:
    """P(symbol | history) by counting through the text each time."""
    if order == 0:
        return 1 / COUNT
    context = history[len(history) - order + 1 :] if order > 1 else []
    if len(context) < order - 1:
        return witten_bell(symbols, order - 1, history, symbol)
    runs = (symbols[i : i + order] for i in range(len(symbols) - order + 1))
    after = Counter(run[-1] for run in runs if run[:-1] == context and 0 not in run)
    if not after:
        return witten_bell(symbols, order - 1, history, symbol)
    lower = witten_bell(symbols, order - 1, history, symbol)
    return (after[symbol] + len(after) * lower) / (after.total() + len(after))


def after(model: NgramModel, history: list[int]) -> np.ndarray:
    """log P of each symbol where the model has read `history`."""
    state = 0
    for symbol in history:
        state = int(model.rows(np.array([state])).following[0, symbol])
    return model.rows(np.array([state])).log_p[0]


@settings(max_examples=30, deadline=None)
@given(texts, st.integers(1, 4), st.data())
def test_it_estimates_what_witten_and_bell_define(text: str, order: int, data: st.DataObject) -> None:
    symbols = [int(s) for s in symbols_of(f" {text} ")]
    assume(sum(s > 0 for s in symbols) >= 100)
    model = build([Weighted(text)], order=order).model
    history = data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 64]), max_size=5))
    found = after(model, history)
    for symbol in (1, 2, 3, 30):
        exact = np.log(witten_bell(symbols, order, history, symbol))
        assert found[symbol] == pytest.approx(max(exact, FLOOR), abs=order / 32 + 1e-3)


@settings(max_examples=20, deadline=None)
@given(texts, st.integers(1, 6), st.integers(1, 3))
def test_each_state_is_a_distribution(text: str, order: int, min_count: int) -> None:
    assume(sum(s > 0 for s in symbols_of(f" {text} ")) >= 100)
    model = build([Weighted(text)], order=order, min_count=min_count).model
    rows = model.rows(np.arange(model.contexts))
    assert np.exp(rows.log_p[:, 1:].astype(np.float64)).sum(1) == pytest.approx(1, abs=0.07)
    assert (rows.following >= 0).all() and (rows.following < model.contexts).all()


def test_a_weight_is_a_repetition() -> None:
    one = build([Weighted("the cat sat on the mat. " * 9, 3.0)], order=3).model
    other = build([Weighted("the cat sat on the mat. " * 9)] * 3, order=3).model
    for a, b in zip(one.orders, other.orders, strict=True):
        assert np.array_equal(a.codes, b.codes) and np.array_equal(a.log_p, b.log_p)


def test_texts_stand_alone() -> None:
    model = build([Weighted("ab" * 60), Weighted("cd" * 60)], order=3).model
    assert after(model, [3])[4] < -4  # b, then c: only where one text ends and the other begins


def test_pruning_keeps_to_its_limit() -> None:
    text = "how much wood would a woodchuck chuck if a woodchuck could chuck wood? " * 3 + "once. " * 9
    full = build([Weighted(text)], order=6).model
    small = build([Weighted(text)], order=6, most_grams=250).model
    size = sum(len(grams.codes) for grams in small.orders)
    assert size <= 250 < sum(len(grams.codes) for grams in full.orders)
    rows = small.rows(np.arange(small.contexts))
    assert np.exp(rows.log_p[:, 1:].astype(np.float64)).sum(1) == pytest.approx(1, abs=0.07)


def test_it_reports_what_it_left_out() -> None:
    built = build([Weighted("a世 " * 100)], order=2)
    assert (built.symbols, built.left_out) == (201, 100)


def test_a_longer_context_reads_real_text_better() -> None:
    text = shared_data("text/wikitext2_valid.txt").read_text(encoding="utf-8")
    train, test = text[:300_000], symbols_of(text[300_000:303_000])
    bits = []
    for order in (1, 2, 4, 6):
        model = build([Weighted(train)], order=order).model
        state, log_p = model.start, 0.0
        for symbol in test:
            rows = model.rows(np.array([state]))
            log_p, state = log_p + float(rows.log_p[0, symbol]), int(rows.following[0, symbol])
        bits.append(-log_p / len(test) / np.log(2))
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > 4 and bits[-1] < 2.8


@pytest.mark.parametrize(
    ("text", "order", "said"),
    [
        ("", 6, "holds 0 characters"),
        ("too short", 6, "100"),
        ("世界" * 500 + "abc " * 100, 6, "on no key"),
        ("abc " * 100, 0, "the order is 0"),
        ("abc " * 100, 11, "the order is 11"),
    ],
)
def test_what_makes_no_model_is_refused(text: str, order: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        build([Weighted(text)], order=order)


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match="0 characters"):
        build([])
