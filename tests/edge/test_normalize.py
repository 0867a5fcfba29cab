"""Running normalisation: causal, chunk-proof, deaf to what is missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features import BINS, Frames
from edge.normalize import NormState, Prior, RunningNorm, prior_from
from edge.samples import Float32
from tests.edge.making import cut

SHAPE = (2, 16, BINS)


def make_frames(count: int, seed: int = 0, *, lossy: bool = False) -> Frames:
    rng = np.random.default_rng(seed)
    valid = rng.random((count, 2)) > (0.2 if lossy else -1)
    return Frames(rng.normal(0.5, 1.1, (count, *SHAPE)).astype(np.float32), valid)


def flat_prior() -> Prior:
    return Prior(np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32))


def run(frames: Frames, at: list[int] | None = None, norm: RunningNorm | None = None) -> Float32:
    norm = norm or RunningNorm()
    state = norm.initial_state(flat_prior())
    out = []
    for part in cut(len(frames.values), at or []):
        state, values = norm.step(state, Frames(frames.values[part], frames.valid[part]))
        out.append(values)
    return np.concatenate(out)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=5))
def test_chunk_sizes_do_not_change_a_bit(count: int, at: list[int]) -> None:
    frames = make_frames(count, lossy=True)
    np.testing.assert_array_equal(run(frames, at), run(frames))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 29))
def test_causal(changed: int) -> None:
    frames = make_frames(30)
    values = frames.values.copy()
    values[changed:] += 3
    before, after = run(frames), run(Frames(values, frames.valid))
    np.testing.assert_array_equal(before[:changed], after[:changed])
    assert (before[changed] != after[changed]).all()


def test_missing_frames_come_out_as_the_mean_and_move_nothing() -> None:
    frames = make_frames(40, lossy=True)
    out = run(frames)
    assert not frames.valid.all()
    assert (out[~frames.valid] == 0).all()
    for wrist in range(2):
        kept = frames.valid[:, wrist]
        alone = run(Frames(frames.values[kept], frames.valid[kept] | True))
        np.testing.assert_array_equal(out[kept, wrist], alone[:, wrist])


def test_settles_on_the_signals_own_statistics() -> None:
    frames = make_frames(4000)
    out = run(frames, norm=RunningNorm(prior_frames=10, horizon_frames=2000))[2000:]
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0, atol=0.05)
    np.testing.assert_allclose(out.std((0, 1, 2)), 1, atol=0.05)


def test_weight_stops_at_the_horizon() -> None:
    norm = RunningNorm(prior_frames=5, horizon_frames=8)
    state, _ = norm.step(norm.initial_state(flat_prior()), make_frames(20))
    np.testing.assert_array_equal(state.weight, 8)


def test_a_dead_electrode_stays_small() -> None:
    dead = Frames(np.full((50, *SHAPE), -6, np.float32), np.ones((50, 2), np.bool_))
    state = RunningNorm().initial_state(Prior(np.full(SHAPE, -6, np.float32), np.zeros(SHAPE, np.float32)))
    _, out = RunningNorm().step(state, dead)
    assert np.isfinite(out).all()
    assert abs(out).max() < 1e-3


def test_step_is_pure() -> None:
    state = RunningNorm().initial_state(flat_prior())
    kept = NormState(*(array.copy() for array in state))
    RunningNorm().step(state, make_frames(5))
    for array, copy in zip(state, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_prior_is_mean_and_deviation_over_valid_frames() -> None:
    sessions = [make_frames(30, 1, lossy=True), make_frames(50, 2, lossy=True)]
    prior = prior_from(sessions)
    for wrist in range(2):
        values = np.concatenate([s.values[s.valid[:, wrist], wrist] for s in sessions])
        np.testing.assert_allclose(prior.mean[wrist], values.mean(0), atol=1e-5)
        np.testing.assert_allclose(prior.std[wrist], values.std(0), atol=1e-4)


def test_prior_of_a_band_never_worn_is_harmless() -> None:
    frames = make_frames(10)
    frames.valid[:, 1] = False
    prior = prior_from([frames])
    assert (prior.mean[1] == 0).all()
    assert (prior.std[1] == 1).all()
