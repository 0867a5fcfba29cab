"""Greedy behind the Decoder Protocol is greedy_step."""

from __future__ import annotations

from hypothesis import given

from edge.ctc import DecoderState, greedy, greedy_step
from edge.decoder import Greedy, decode_all
from tests.edge.test_ctc import emissions, paths


@given(paths)
def test_it_says_what_greedy_says_and_settles_it_at_once(path: list[int]) -> None:
    log_probs = emissions(path)
    state, said = Greedy().step(Greedy().initial_state(), log_probs)
    expected_state, expected = greedy_step(DecoderState(), log_probs)
    assert state == expected_state
    assert [(key.label, key.emission, key.decided) for key in said] == [
        (k.label, k.emission, k.emission) for k in expected
    ]
    assert Greedy().tentative(state) == []
    assert decode_all(Greedy(), log_probs) == greedy(log_probs)
