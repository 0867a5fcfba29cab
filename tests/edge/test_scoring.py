"""CER: the textbook alignment, its parts, the convention of emg2qwerty, and a real decoder's output."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import BACKSPACE, CHARSET
from edge.edits import text_of
from edge.errors import NotEnoughData
from edge.scoring import Cer, matches, score, total
from tests.edge.making import shared_data

labels = st.lists(st.integers(0, 4), max_size=12)
BACK = CHARSET.index(BACKSPACE)


def distance(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance by its recurrence."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(labels, labels)
def test_counts_are_a_shortest_alignment(target: list[int], said: list[int]) -> None:
    cer = score(target, said)
    assert cer.errors == distance(target, said)
    assert cer.length == len(target)
    assert cer.insertions - cer.deletions == len(said) - len(target)
    assert min(cer) >= 0


@given(labels)
def test_the_target_itself_has_no_errors_and_silence_is_all_deletions(target: list[int]) -> None:
    assert score(target, target) == Cer(0, 0, 0, len(target))
    assert score(target, []) == Cer(0, len(target), 0, len(target))


def test_the_parts() -> None:
    assert score("kitten", "sitting") == Cer(insertions=1, deletions=0, substitutions=2, length=6)
    assert score("kitten", "sitting").percent == pytest.approx(50)


def test_backspaces_count_as_characters_in_labels_and_are_applied_in_text() -> None:
    meant, said = [0, 1, 2], [0, 1, 3, BACK, 2]
    assert score(meant, said) == Cer(2, 0, 0, 3)
    assert score(text_of(meant), text_of(said)) == Cer(0, 0, 0, 3)


@given(labels, labels)
def test_matches_are_equal_in_order_and_all_that_is_right(target: list[int], said: list[int]) -> None:
    pairs = matches(target, said)
    assert all(target[meant] == said[heard] for meant, heard in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    cer = score(target, said)
    assert len(pairs) == cer.length - cer.deletions - cer.substitutions


def test_matches_of_text_and_of_nothing() -> None:
    assert matches("kitten", "sitting") == [(1, 1), (2, 2), (3, 3), (5, 5)]
    assert matches("abc", "xabc") == [(0, 1), (1, 2), (2, 3)]
    assert matches("", "a") == matches("a", "") == []


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=5))
def test_total_weighs_by_length(pairs: list[tuple[list[int], list[int]]]) -> None:
    parts = [score(target, said) for target, said in pairs]
    both = total(parts)
    assert both.length == sum(len(target) for target, _ in pairs)
    if both.length:
        expected = sum(part.percent * part.length for part in parts if part.length)
        insertions_alone = sum(100 * part.errors for part in parts if not part.length)
        assert both.percent * both.length == pytest.approx(expected + insertions_alone)


def test_an_empty_target_has_no_rate() -> None:
    assert total([]) == Cer(0, 0, 0, 0)
    with pytest.raises(NotEnoughData, match="no key was meant"):
        _ = score([], [1]).percent


def test_agrees_with_a_real_decoders_published_distances() -> None:
    path = shared_data("text/real_greedy_decodes.jsonl")
    windows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    parts = [score(w["gt_text"], w["pred_text"]) for w in windows]
    assert [part.errors for part in parts] == [w["edit_distance"] for w in windows]
    assert total(parts).percent == pytest.approx(24.54, abs=0.01)  # facts: greedy
