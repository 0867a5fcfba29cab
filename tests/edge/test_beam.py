"""The beam: a plain search and an independent decoder agree, chunks change nothing, what is settled stays."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.beam import Beam, BeamState
from edge.charset import BACKSPACE, CHARSET, SHIFT, SPACE
from edge.ctc import greedy
from edge.decoder import Said, decode_all
from edge.errors import BadInput
from edge.lm import Weighted, build
from edge.lm.ngram import NgramModel
from edge.lm.symbols import OF_LABEL
from edge.samples import Float32
from personalize import base
from personalize.evaluate import session_emissions
from personalize.model import describe
from personalize.reference import TorchRuntime, in_long_chunks
from simulate.recording import to_session
from simulate.wearer import Wearer
from tests.edge.making import cut

A, B, Q = (CHARSET.index(c) for c in "abq")
ERASE, GAP = CHARSET.index(BACKSPACE), CHARSET.index(SPACE)
FEW = (A, B, Q, ERASE, GAP, CHARSET.index("A"), CHARSET.index(SHIFT))


@cache
def model() -> NgramModel:
    return build([Weighted("abba baba abab. bab a bb ab abba " * 20)], order=3).model


def emissions(seed: int, length: int, sharpness: float = 3.0, quiet: float = 0.0) -> Float32:
    """Random log-probabilities over a few keys and the blank; the others are next to impossible."""
    rng = np.random.default_rng(seed)
    logits = np.full((length, CHARSET.num_classes), -30.0)
    logits[:, [*FEW, CHARSET.blank]] = rng.normal(0, sharpness, (length, len(FEW) + 1))
    logits[:, CHARSET.blank] += quiet
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def gain_of(beam: Beam, prefix: tuple[int, ...], label: int) -> float:
    """What the language model adds where `label` follows `prefix`, from the whole text each time."""
    assert beam.lm is not None

    def scored(labels: tuple[int, ...]) -> list[tuple[int, float]]:
        standing: list[tuple[int, float]] = []  # state after, gain
        for one in labels:
            symbol = int(OF_LABEL[one])
            if one == ERASE and standing:
                standing.pop()
            elif symbol:
                state = standing[-1][0] if standing else beam.lm.start
                rows = beam.lm.rows(np.array([state]))
                gain = beam.lm_weight * float(rows.log_p[0, symbol]) + beam.bonus
                standing.append((int(rows.following[0, symbol]), gain))
        return standing

    return sum(g for _, g in scored((*prefix, label))) - sum(g for _, g in scored(prefix))


def plain(beam: Beam, log_probs: Float32) -> tuple[int, ...]:
    """Prefix beam search as textbooks write it: a dictionary of prefixes, nothing shared with edge.beam."""
    found = {(): (0.0, -math.inf)}
    for row in log_probs.astype(np.float64):
        following: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (blank, spoken) in found.items():
            total = np.logaddexp(blank, spoken)
            stays = following[prefix]
            stays[0] = np.logaddexp(stays[0], total + row[CHARSET.blank])
            for label in FEW:
                if row[label] < beam.floor:
                    continue
                from_ = blank if prefix and prefix[-1] == label else total
                if prefix and prefix[-1] == label:
                    stays[1] = np.logaddexp(stays[1], spoken + row[label])
                lm = gain_of(beam, prefix, label) if beam.lm else 0.0
                grown = following[(*prefix, label)]
                grown[1] = np.logaddexp(grown[1], from_ + row[label] + lm)
        best = sorted(following, key=lambda prefix: -np.logaddexp(*following[prefix]))[: beam.width]
        found = {prefix: (following[prefix][0], following[prefix][1]) for prefix in best}
    return max(found, key=lambda prefix: float(np.logaddexp(*found[prefix])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 14), st.sampled_from([1, 3, 8]), st.booleans())
def test_it_is_the_search_of_the_textbooks(seed: int, length: int, width: int, with_lm: bool) -> None:
    beam = Beam(model() if with_lm else None, width=width, window=1000)
    log_probs = emissions(seed, length)
    assert tuple(decode_all(beam, log_probs)) == plain(beam, log_probs)


def independent(log_probs: Float32, floor: float) -> list[int]:
    """What fast-ctc-decode reads at beam 50."""
    fast = pytest.importorskip("fast_ctc_decode", reason="fast-ctc-decode is not installed (the dev extra)")
    alphabet = "".join(chr(0x100 + label) for label in range(CHARSET.num_classes))  # its blank comes first
    first = np.exp(np.roll(log_probs, 1, axis=1))
    text, _ = fast.beam_search(first, alphabet, beam_size=50, beam_cut_threshold=math.exp(floor))
    return [ord(c) - 0x101 for c in text]


UNBOUNDED = Beam(window=10_000, open_keys=300, tried=CHARSET.blank)


def test_an_independent_decoder_reads_the_same() -> None:
    for seed in range(20):
        log_probs = emissions(seed, 300, sharpness=2.5, quiet=3.0)
        read = decode_all(UNBOUNDED, log_probs)
        assert read == independent(log_probs, UNBOUNDED.floor)
        assert read


def log_probability(log_probs: Float32, labels: list[int]) -> float:
    """Of all paths that say `labels`: CTC's forward pass in float64, with nothing pruned."""
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs).double()[:, None],
        torch.tensor([labels]),
        torch.tensor([len(log_probs)]),
        torch.tensor([len(labels)]),
        blank=CHARSET.blank,
        reduction="sum",
    )
    return -float(loss)


def heard_of_a_stranger() -> Float32:
    """The shipped base on a simulated wearer whom it never met: unsure, as a decoder must bear it."""
    session = to_session(Wearer(31).perform(0, duration_s=200.0))
    network, prior = base.load(), base.card().normalization.prior
    manifest = describe(network, user="sim", simulated=True, sides=frozenset(session.sides), prior=prior)
    return session_emissions(TorchRuntime(network, in_long_chunks(manifest.form)), manifest, session)


@pytest.mark.slow
def test_it_reads_the_same_of_hundreds_of_emissions_random_and_a_networks() -> None:
    """Where the two part, over a hypothesis that float32 prunes there and float64 here, ours is likelier."""
    heard = heard_of_a_stranger()
    tried = [heard[at : at + 125] for at in range(0, len(heard) - 124, 125)]  # of 2 s
    tried += [
        emissions(seed, 120, sharpness, quiet)
        for seed in range(1000, 1040)
        for sharpness in (1.5, 2.5, 4.0)
        for quiet in (0.0, 3.0)
    ]
    assert len(tried) >= 300
    parted = []
    for log_probs in tried:
        ours, theirs = decode_all(UNBOUNDED, log_probs), independent(log_probs, UNBOUNDED.floor)
        if ours != theirs:
            parted.append(log_probability(log_probs, ours) - log_probability(log_probs, theirs))
    assert len(parted) <= len(tried) // 100
    assert all(gain > 0 for gain in parted)


def followed(beam: Beam, log_probs: Float32, at: list[int]) -> tuple[BeamState, list[Said], list[list[Said]]]:
    state, said, open_ = beam.initial_state(), [], []
    for part in cut(len(log_probs), at):
        state, keys = beam.step(state, log_probs[part])
        said += keys
        open_.append(beam.tentative(state))
    return state, said, open_


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(0, 120), max_size=8), st.integers(1, 40), st.booleans()
)
def test_chunk_sizes_change_nothing(seed: int, at: list[int], window: int, with_lm: bool) -> None:
    beam = Beam(model() if with_lm else None, width=12, window=window)
    log_probs = emissions(seed, 120, quiet=2.0)
    state, said, open_ = followed(beam, log_probs, at)
    whole, said_at_once, open_at_once = followed(beam, log_probs, [])
    assert said == said_at_once
    assert open_[-1] == open_at_once[-1]
    assert state.emissions == whole.emissions
    for one, other in zip(state.hypotheses, whole.hypotheses, strict=True):
        assert np.array_equal(one, other)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_what_is_settled_stays_and_what_may_change_is_young(seed: int, window: int, with_lm: bool) -> None:
    beam = Beam(model() if with_lm else None, width=12, window=window)
    log_probs = emissions(seed, 150, sharpness=2.0, quiet=2.0)
    _, said, open_ = followed(beam, log_probs, list(range(1, 151)))
    assert decode_all(beam, log_probs) == [key.label for key in (*said, *open_[-1])]
    assert [key.decided for key in said] == sorted(key.decided for key in said)
    assert all(0 <= key.decided - key.emission <= window for key in said)
    for seen, tentative in enumerate(open_, 0):
        assert all(seen - 1 - key.emission < window for key in tentative)


def test_a_key_may_be_revised_for_the_whole_window() -> None:
    _, said, _ = followed(Beam(width=12, window=7), emissions(5, 300, sharpness=2.0), [])
    assert max(key.decided - key.emission for key in said) == 7


def test_a_wider_window_may_read_better_and_never_less() -> None:
    log_probs = emissions(3, 400, sharpness=2.0, quiet=1.0)
    whole = decode_all(Beam(window=10_000), log_probs)
    assert decode_all(Beam(window=200), log_probs) == whole
    assert decode_all(Beam(window=1, width=12), log_probs) != whole


@pytest.mark.parametrize("quiet", [-10.0, 4.0])
def test_its_memory_does_not_grow(quiet: float) -> None:
    beam = Beam(model(), width=20, window=10_000)
    log_probs = emissions(1, 1500, quiet=quiet)
    state, said, _ = followed(beam, log_probs, [500, 1000])
    assert len(said) > 100
    assert sum(column.nbytes for column in state.hypotheses) < 20 * 2000


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_a_second() -> None:
    beam = Beam(model())
    second, state, keys = 62, beam.initial_state(), 0
    minute = emissions(2, 60 * second, sharpness=2.0, quiet=6.0)
    most = 50 * sum(column.nbytes for column in state.hypotheses)
    for _ in range(60):
        state, said = beam.step(state, minute)
        keys += len(said)
        assert sum(column.nbytes for column in state.hypotheses) <= most
        assert np.isfinite(state.hypotheses.blank).any()
    assert keys > 10_000


def spoken(labels: list[int]) -> Float32:
    """Emissions that say `labels` beyond doubt, a blank after each."""
    path = [step for label in labels for step in (label, CHARSET.blank)]
    log_probs = np.full((len(path), CHARSET.num_classes), -40, np.float32)
    log_probs[np.arange(len(path)), path] = -1e-6
    return log_probs


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(FEW), max_size=80))
def test_what_is_beyond_doubt_is_said_with_any_language_model(labels: list[int]) -> None:
    assert decode_all(Beam(model(), width=4), spoken(labels)) == labels == greedy(spoken(labels))


def test_a_backspace_takes_back_state_and_score() -> None:
    beam = Beam(model())
    states = [
        beam.step(beam.initial_state(), spoken([A, B, *typo]))[0].hypotheses
        for typo in ([], [Q, Q, ERASE, ERASE])
    ]
    assert states[0].lm[0] == states[1].lm[0] != beam.initial_state().hypotheses.lm[0]
    assert states[0].depth[0] == states[1].depth[0] == 2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([A, B, GAP]), max_size=90), st.integers(1, 60))
def test_slips_taken_back_leave_no_trace(labels: list[int], slips: int) -> None:
    beam = Beam(model(), width=2)
    typed = [*labels, *[Q, A] * slips][: len(labels) + slips]
    clean, corrected = (
        beam.step(beam.initial_state(), spoken(one))[0].hypotheses
        for one in (labels, [*typed, *[ERASE] * slips])
    )
    assert clean.lm[0] == corrected.lm[0] or corrected.depth[0] == corrected.bottom[0]
    assert clean.depth[0] == corrected.depth[0] == len(labels)


def test_backspaces_beyond_what_is_remembered_start_anew() -> None:
    beam = Beam(model(), width=2)
    found = beam.step(beam.initial_state(), spoken([A] * 100 + [ERASE] * 90))[0].hypotheses
    assert found.depth[0] == found.bottom[0] == 100 - 64
    assert found.lm[0] == model().start


def test_the_language_model_decides_between_equals() -> None:
    log_probs = spoken([A, B, B, A, GAP])
    log_probs[6, [A, Q]] = math.log(0.45), math.log(0.55)
    assert decode_all(Beam(), log_probs) == [A, B, B, Q, GAP]
    assert decode_all(Beam(model()), log_probs) == [A, B, B, A, GAP]
    assert decode_all(Beam(model(), lm_weight=0.0, bonus=0.0), log_probs) == [A, B, B, Q, GAP]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "width is 0"),
        ({"width": 1001}, "width is 1001"),
        ({"window": 0}, "revises 0 emissions"),
        ({"tried": 0}, "tries 0 labels"),
        ({"open_keys": 0}, "0 keys"),
        ({"lm_weight": -0.1}, "weight is -0.1"),
        ({"lm_weight": math.nan}, "weight is nan"),
        ({"bonus": math.inf}, "bonus inf"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Beam(**changes)
