"""The user's words: likelier once begun, a distribution still, and harmless to all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.lm import LanguageModel, english, read_words, with_vocabulary
from edge.lm.symbols import symbols_of

ENGLISH = english()
WORDS = ["qwrist", "zberman", "O'Hara", "qwerty2"]
MIXED = with_vocabulary(ENGLISH, WORDS)


def log_p(model: LanguageModel, text: str) -> float:
    state, total = model.start, 0.0
    for symbol in symbols_of(text):
        rows = model.rows(np.array([state]))
        total, state = total + float(rows.log_p[0, symbol]), int(rows.following[0, symbol])
    return total


@pytest.mark.parametrize("word", WORDS)
def test_its_words_are_likelier_anywhere(word: str) -> None:
    for text in (f"{word} ", f"the {word} is "):
        assert log_p(MIXED, text) > log_p(ENGLISH, text) + 5


def test_other_words_hardly_lose() -> None:
    for text in ("the quick brown fox jumps over the lazy dog. ", "over there ", "queen "):
        assert log_p(MIXED, text) > log_p(ENGLISH, text) - 0.05 * len(text) - 0.7


@settings(max_examples=30, deadline=None)
@given(st.text("qwristz ber.", max_size=12))
def test_each_state_is_a_distribution(text: str) -> None:
    state = MIXED.start
    for symbol in symbols_of(text):
        state = int(MIXED.rows(np.array([state])).following[0, symbol])
    rows = MIXED.rows(np.array([state]))
    assert np.exp(rows.log_p[0, 1:].astype(np.float64)).sum() == pytest.approx(1, abs=0.07)
    assert rows.log_p[0, 0] == 0 and rows.following[0, 0] == state


@pytest.mark.parametrize("words", [[], ["two words"], [""], ["世界"], ["fine", "ta\tb"]])
def test_what_is_no_word_is_refused(words: list[str]) -> None:
    with pytest.raises(BadInput, match="word"):
        with_vocabulary(ENGLISH, words)


def test_words_are_read_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("qwrist\n\n  zberman \r\n", encoding="utf-8")
    assert read_words(tmp_path / "words.txt") == ["qwrist", "zberman"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\n \n", "holds 0 words"), (b"\xff\xfe\x00", "not UTF-8"), (None, "cannot be read")],
)
def test_files_without_words_are_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "w.txt").write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_words(tmp_path / "w.txt")
