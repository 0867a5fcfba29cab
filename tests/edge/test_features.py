"""Frames: an independent transform, bit-exact chunking, missing samples, real signals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features import BINS, HOP, N_FFT, POWER_FLOOR, Frames, LogSpectrogram
from edge.highpass import HighPass
from edge.normalize import RunningNorm, prior_from
from edge.samples import Bool, Float32
from tests.edge.making import cut, shared_data


def noise(samples: int, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).normal(0, 20, (samples, 2, 16)).astype(np.float32)


def run(emg: Float32, valid: Bool | None = None, at: list[int] | None = None) -> Frames:
    valid = np.ones(emg.shape[:2], np.bool_) if valid is None else valid
    stage = LogSpectrogram()
    state = stage.initial_state()
    parts = []
    for part in cut(len(emg), at or []):
        state, frames = stage.step(state, emg[part], valid[part])
        parts.append(frames)
    return Frames(
        np.concatenate([frames.values for frames in parts]),
        np.concatenate([frames.valid for frames in parts]),
    )


def test_equals_a_transform_written_out() -> None:
    emg = noise(200)
    n = np.arange(N_FFT)
    hann = np.sin(np.pi * n / N_FFT) ** 2  # periodic
    basis = np.exp(-2j * np.pi * np.outer(np.arange(BINS), n) / N_FFT)  # (F, 64)
    expected = [
        np.log10(
            np.abs(np.einsum("fn,nwe->wef", basis, emg[i : i + N_FFT] * hann[:, None, None])) ** 2 / 24 + 1e-6
        )
        for i in range(0, len(emg) - N_FFT + 1, HOP)
    ]
    np.testing.assert_allclose(run(emg).values, np.stack(expected), atol=1e-5)


def test_equals_torchs_short_time_transform() -> None:
    torch = pytest.importorskip("torch")
    emg = noise(2000)
    spectrum = torch.stft(
        torch.from_numpy(emg.reshape(len(emg), 32).T.astype(np.float64)),
        n_fft=N_FFT,
        hop_length=HOP,
        window=torch.hann_window(N_FFT, periodic=True, dtype=torch.float64),
        center=False,
        return_complex=True,
    )  # (W*E, F, T)
    power = spectrum.abs() ** 2 / torch.hann_window(N_FFT, periodic=True, dtype=torch.float64).square().sum()
    expected = torch.log10(power + POWER_FLOOR).permute(2, 0, 1).reshape(-1, 2, 16, BINS)
    np.testing.assert_allclose(run(emg).values, expected.numpy(), atol=1e-5)


def test_windows_energy_is_24() -> None:
    tone = 10 * np.cos(
        2 * np.pi * 8 * np.arange(N_FFT) / N_FFT
    )  # bin 8: |X| = 10 * 32 / 2 with Hann's gain of 1/2
    emg = np.broadcast_to(tone[:, None, None], (N_FFT, 2, 16)).astype(np.float32)
    np.testing.assert_allclose(run(emg).values[0, :, :, 8], np.log10(160**2 / 24 + 1e-6), atol=1e-5)
    np.testing.assert_allclose(run(emg).values[0, :, :, 20], np.log10(1e-6), atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6))
def test_chunk_sizes_do_not_change_a_bit(samples: int, at: list[int]) -> None:
    emg = noise(samples)
    valid = np.random.default_rng(1).random((samples, 2)) > 0.02
    whole, parts = run(emg, valid), run(emg, valid, at)
    np.testing.assert_array_equal(parts.values, whole.values)
    np.testing.assert_array_equal(parts.valid, whole.valid)
    assert len(whole.values) == max(0, (samples - N_FFT) // HOP + 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 399))
def test_a_frame_sees_its_own_window_only(changed: int) -> None:
    emg = noise(400)
    other = emg.copy()
    other[changed] += 500
    moved = (run(emg).values != run(other).values).any(axis=(1, 2, 3))
    covering = [i * HOP <= changed < i * HOP + N_FFT for i in range(len(moved))]
    # the first sample of a window has weight 0
    assert all(c for m, c in zip(moved, covering, strict=True) if m)
    assert all(m for i, (m, c) in enumerate(zip(moved, covering, strict=True)) if c and changed != i * HOP)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 399), max_size=5), st.integers(0, 1))
def test_a_missing_sample_masks_the_windows_that_hold_it(missing: set[int], wrist: int) -> None:
    valid = np.ones((400, 2), np.bool_)
    valid[sorted(missing), wrist] = False
    found = run(noise(400), valid).valid
    for i, frame in enumerate(found):
        assert frame[wrist] == (not missing & set(range(i * HOP, i * HOP + N_FFT)))
        assert frame[1 - wrist]


def test_real_semg_passes_through_finite() -> None:
    recordings = np.load(shared_data("emg/grabmyo_wrist_forearm.npz"))
    emg_uv = recordings["emg_int16"][:2, :, :16] * (1000 * recordings["mv_per_lsb"])
    ring = np.moveaxis(emg_uv, 0, 1).astype(np.float32)  # two trials stand in for two wrists
    _, filtered = HighPass().step(HighPass().initial_state(ring[0]), ring)
    frames = run(filtered)
    prior = prior_from([frames])
    _, normalized = RunningNorm().step(RunningNorm().initial_state(prior), frames)
    assert np.isfinite(frames.values).all()
    assert np.isfinite(normalized).all()
    # muscle has most of its power between 62 and 250 Hz, little above 900
    assert frames.values[..., 2:8].mean() > frames.values[..., 29:].mean() + 1
    # a network's input is of order one
    assert 0.5 < normalized.std() < 2
