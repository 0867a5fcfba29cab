from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.samples import Float32
from personalize.gate import FEWEST_STRETCHES, STRETCH_KEYS, Heard, decide, probability_better, stretches
from personalize.geometry import Geometry
from personalize.labels import Labels, Phrase

GEOMETRY = Geometry(left_context=0, lookahead=0, stride=2, label_delay=0, warmup=0, after=0)
PERIOD = 10  # frames from press to press


def typed(keys: int) -> Labels:
    rng = np.random.default_rng(1)
    return Labels(True, rng.integers(0, 26, keys), 5.0 + PERIOD * np.arange(keys), ())


def heard(labels: Labels, *, wrong: float = 0.0, seed: int = 0) -> Heard:
    """Emissions that say every key when it is due; a share of them another one instead."""
    due = GEOMETRY.due(labels.press_frame)
    said: Float32 = np.full((int(due[-1]) + 5, CHARSET.num_classes), -10.0, np.float32)
    said[:, CHARSET.blank] = -0.1
    missed = np.random.default_rng(seed).random(len(due)) < wrong
    said[due, np.where(missed, (labels.classes + 1) % 26, labels.classes)] = 0.0
    return Heard(said, GEOMETRY)


counts = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


@given(counts)
def test_better_and_worse_never_add_up_to_more_than_one(pairs):
    new, old = zip(*pairs, strict=True)
    assert probability_better(new, old) + probability_better(old, new) <= 1 + 1e-9
    assert probability_better(new, new) == 0


@given(counts)
def test_one_error_less_in_every_stretch_is_certain(pairs):
    _, old = zip(*pairs, strict=True)
    assert probability_better([errors - 1 for errors in old], old) == 1


def test_an_even_match_is_about_even():
    new, old = [0, 2] * 20, [2, 0] * 20
    assert 0.35 < probability_better(new, old) < 0.5


def test_stretches_hold_each_key_once_and_overlap_nowhere():
    labels = typed(3 * STRETCH_KEYS + 7)
    assert [len(s.classes) for s in stretches(typed(7))] == [7]
    assert stretches(typed(0)) == ()
    found = stretches(labels)
    assert [c for s in found for c in s.classes] == labels.classes.tolist()
    assert len(found) == 3
    assert all(a.end_frame <= b.start_frame for a, b in pairwise(found))


def test_prompts_are_the_stretches_where_no_key_time_is_known():
    phrases = (Phrase(0.0, 10.0, (1, 2)), Phrase(12.0, 20.0, (3,)))
    assert stretches(Labels(False, np.zeros(0, np.int64), np.zeros(0), phrases)) == phrases


def test_the_first_model_is_taken_and_a_better_one_replaces_a_worse():
    labels = typed(20 * STRETCH_KEYS)
    assert decide(heard(labels, wrong=0.9), None, labels).promoted
    decision = decide(heard(labels), heard(labels, wrong=0.3), labels)
    assert decision.promoted
    assert decision.probability == 1
    assert decision.current is not None
    assert decision.current.percent == pytest.approx(30, abs=5)


@pytest.mark.parametrize("wrong", [0.1, 0.9], ids=["no better", "poisoned"])
def test_one_that_is_not_surely_better_leaves_the_old_in_place(wrong):
    labels = typed(20 * STRETCH_KEYS)
    decision = decide(heard(labels, wrong=wrong), heard(labels, wrong=0.1, seed=1), labels)
    assert not decision.promoted
    assert "not surely better" in decision.reason


def test_one_that_says_no_numbers_is_refused_even_where_there_is_none():
    labels = typed(20 * STRETCH_KEYS)
    broken = heard(labels)
    broken.log_probs[7, 3] = np.nan
    for current in (None, heard(labels, wrong=0.5)):
        decision = decide(broken, current, labels)
        assert not decision.promoted
        assert "no number" in decision.reason


@pytest.mark.parametrize(("keys", "promoted"), [(1, False), (FEWEST_STRETCHES - 1, False), (8, True)])
def test_too_few_stretches_decide_nothing(keys, promoted):
    labels = typed(keys * STRETCH_KEYS)
    decision = decide(heard(labels), heard(labels, wrong=0.9), labels)
    assert decision.promoted is promoted
    assert promoted or "at least 5 are needed" in decision.reason
