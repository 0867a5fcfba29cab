"""Prompts: what every deck promises, whatever its seed."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.prompts import LONGEST, SHORTEST, prompt_deck, words

seeds = st.integers(min_value=0, max_value=2**63)


def drawn(seed, count):
    return list(islice(prompt_deck(seed), count))


@given(seed=seeds)
def test_each_prompt_is_of_the_promised_length_and_can_be_typed(seed):
    for prompt in drawn(seed, 10):
        assert SHORTEST <= len(prompt) <= LONGEST
        assert len(CHARSET.labels(prompt)) == len(prompt)
        assert prompt == prompt.strip() and "  " not in prompt


@given(seed=seeds)
def test_the_seed_decides(seed):
    assert drawn(seed, 4) == drawn(seed, 4)
    assert drawn(seed, 4) != drawn(seed + 1, 4)


def test_every_letter_and_mark_occurs_within_a_session():
    text = "".join(drawn(1, 100))  # 8 minutes hold about 70 prompts
    assert set("abcdefghijklmnopqrstuvwxyz,.'") <= set(text)
    assert any(letter.isupper() for letter in text)
    assert 0.12 <= text.count(" ") / len(text) <= 0.18


def test_no_word_is_listed_twice():
    assert len(words()) == len(set(words())) > 500
