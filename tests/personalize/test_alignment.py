import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.errors import BadInput
from personalize.alignment import align, align_phrases, doubtful, fewest_emissions
from personalize.geometry import Geometry
from personalize.labels import Labels, Phrase

K, BLANK = CHARSET.num_classes, CHARSET.blank
A, B, C = 0, 1, 2
SMALL = (A, B, BLANK)  # all that brute force runs through
EACH = Geometry(left_context=0, lookahead=0, stride=2, label_delay=12, warmup=0, after=0)


def emissions(rows):
    """(T, K) log-probabilities from a likelihood for each of SMALL."""
    found = np.full((len(rows), K), -50.0, np.float32)
    found[:, SMALL] = np.log(np.asarray(rows, np.float64))
    return found


def saying(path, confidence=0.9):
    """(T, K) log-probabilities that favour one class at each emission."""
    found = np.full((len(path), K), math.log((1 - confidence) / (K - 1)), np.float32)
    found[range(len(path)), path] = math.log(confidence)
    return found


def read(path):
    """What CTC reads along a path of classes: runs once, blanks left out."""
    return [label for label, _ in itertools.groupby(path) if label != BLANK]


@st.composite
def cases(draw):
    count = draw(st.integers(1, 6))
    likelihood = st.floats(0.01, 1.0)
    rows = draw(st.lists(st.tuples(likelihood, likelihood, likelihood), min_size=count, max_size=count))
    return emissions(rows), draw(st.lists(st.sampled_from([A, B]), max_size=4))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_no_path_that_reads_as_the_prompt_is_likelier(case):
    log_probs, classes = case
    assume(len(log_probs) >= fewest_emissions(classes))
    everything = itertools.product(SMALL, repeat=len(log_probs))
    reading = [path for path in everything if read(path) == classes]
    best = max(log_probs[range(len(path)), path].astype(np.float64).sum() for path in reading)
    assert align(log_probs, classes).log_prob == pytest.approx(best, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_emissions_given_are_such_a_path(case):
    log_probs, classes = case
    assume(len(log_probs) >= fewest_emissions(classes))
    found = align(log_probs, classes)
    path = [BLANK] * len(log_probs)
    for label, first, stop in zip(classes, found.first, found.stop, strict=True):
        assert first < stop
        path[first:stop] = [label] * (stop - first)
    assert read(path) == classes
    assert log_probs[range(len(path)), path].sum() == pytest.approx(found.log_prob, abs=1e-4)


@given(cases())
def test_too_few_emissions_are_refused_and_just_enough_are_not(case):
    log_probs, classes = case
    possible = any(read(path) == classes for path in itertools.product(SMALL, repeat=len(log_probs)))
    assert possible == (len(log_probs) >= fewest_emissions(classes))
    if not possible:
        with pytest.raises(BadInput, match="emissions cannot say"):
            align(log_probs, classes)


@pytest.mark.parametrize(
    ("path", "classes", "first", "stop"),
    [
        ([BLANK, A, A, BLANK, B, BLANK], [A, B], [1, 4], [3, 5]),
        ([A, B, C], [A, B, C], [0, 1, 2], [1, 2, 3]),  # no blank is needed between two keys
        ([BLANK, A, BLANK, A], [A, A], [1, 3], [2, 4]),  # but one between two of a kind
        ([A, A, A, A], [A, A], [0, 2], [1, 4]),  # even where the network hears none (or [0, 3], [2, 4]...)
        ([BLANK, BLANK, BLANK], [], [], []),
    ],
)
def test_keys_are_found_where_they_are_said(path, classes, first, stop):
    found = align(saying(path), classes)
    if path == [A, A, A, A]:
        assert found.first[1] - found.stop[0] == 1
        return
    assert found.first.tolist() == first
    assert found.stop.tolist() == stop


def test_a_prompt_that_is_heard_costs_nothing_and_another_much():
    heard = saying([BLANK, A, BLANK, B, BLANK], confidence=1 - 1e-9)
    assert align(heard, [A, B]).score == pytest.approx(0, abs=1e-5)
    assert align(heard, [B, A]).score < -10
    assert align(np.full((100, K), -math.log(K), np.float32), [A, B]).score < -200


def test_emissions_that_are_not_numbers_are_refused():
    with pytest.raises(BadInput, match="finite"):
        align(np.full((4, K), np.nan, np.float32), [A])


def test_doubt_is_where_the_network_says_something_else():
    said = saying([BLANK, A, C, BLANK, B, BLANK, BLANK, BLANK, A, BLANK], confidence=0.99)
    assert align(said, [A, B, A]).first.tolist() == [1, 4, 8]
    assert doubtful(said, [A, B, A], align(said, [A, B, A])).tolist() == [2], "a slip between two keys"
    unheard = [B, A, A]
    found = align(said[3:], unheard)
    everywhere = doubtful(said[3:], unheard, found)
    first, stop = int(found.first[1]), int(found.first[2])
    assert set(range(found.stop[0], stop)) <= set(everywhere.tolist()), "the key in between was not heard"
    assert first in everywhere
    assert int(found.first[0]) not in everywhere


def prompted(*phrases):
    none = np.zeros(0)
    return Labels(timed=False, classes=none.astype(np.int64), press_frame=none, phrases=phrases)


def test_phrases_get_the_times_at_which_their_keys_are_due():
    path = [BLANK] * 40
    path[12], path[20] = A, B
    labels = prompted(Phrase(4.0, 50.0, (A, B)))
    found = align_phrases(saying(path), labels, EACH)
    (phrase,) = found.labels.phrases
    assert EACH.due(np.array(phrase.press_frame)).tolist() == [12, 20]
    assert (found.prompts, found.usable) == (1, 1)
    assert phrase.doubt_frame == ()
    assert greedy(saying(path)) == list(phrase.classes)
    path[30] = C
    (doubted,) = align_phrases(saying(path), labels, EACH).labels.phrases
    assert EACH.due(np.array(doubted.doubt_frame)).tolist() == [30]


def test_a_prompt_that_is_not_heard_or_too_short_keeps_no_times():
    path = [BLANK] * 40
    path[12], path[20] = A, B
    unheard = Phrase(4.0, 50.0, (C, C, C), press_frame=(5.0, 6.0, 7.0))
    hurried = Phrase(4.0, 6.0, (A, A, A))
    found = align_phrases(saying(path), prompted(unheard, hurried), EACH)
    assert [phrase.press_frame for phrase in found.labels.phrases] == [(), ()]
    assert (found.prompts, found.usable) == (2, 0)


def test_labels_of_a_keyboard_stay_as_they_are():
    labels = replace(prompted(), timed=True, classes=np.array([A]), press_frame=np.array([3.0]))
    found = align_phrases(saying([A] * 9), labels, EACH)
    assert found.labels is labels
    assert (found.prompts, found.usable) == (0, 0)
