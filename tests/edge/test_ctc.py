"""Greedy CTC: an independent collapse, in any chunks."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.ctc import Decoded, DecoderState, greedy, greedy_step
from edge.samples import Float32
from tests.edge.making import cut

# few classes, so that runs and blanks between equal labels are common
paths = st.lists(st.sampled_from([0, 1, 96, CHARSET.blank]), max_size=40)


def emissions(path: list[int]) -> Float32:
    log_probs = np.full((len(path), CHARSET.num_classes), -9, np.float32)
    log_probs[np.arange(len(path)), path] = -0.1
    return log_probs


@given(paths)
def test_collapses_runs_then_drops_blanks(path: list[int]) -> None:
    assert greedy(emissions(path)) == [label for label, _ in groupby(path) if label != CHARSET.blank]


@given(paths, st.lists(st.integers(0, 40), max_size=6))
def test_chunk_sizes_change_nothing(path: list[int], at: list[int]) -> None:
    log_probs = emissions(path)
    state = DecoderState()
    decoded: list[Decoded] = []
    for part in cut(len(path), at):
        state, some = greedy_step(state, log_probs[part])
        decoded += some
    whole_state, whole = greedy_step(DecoderState(), log_probs)
    assert decoded == whole
    assert state == whole_state


@given(paths)
def test_a_key_is_said_at_the_first_emission_of_its_run(path: list[int]) -> None:
    _, decoded = greedy_step(DecoderState(), emissions(path))
    for label, emission in decoded:
        assert path[emission] == label
        assert emission == 0 or path[emission - 1] != label


def test_repeats_need_a_blank_between() -> None:
    assert greedy(emissions([0, 0, CHARSET.blank, 0])) == [0, 0]
    assert greedy(emissions([0, 0, 0])) == [0]
