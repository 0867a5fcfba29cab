"""The high-pass: SciPy's filter, in any chunks, looking only back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.highpass import CUTOFF_HZ, HighPass, HighPassState, butterworth
from edge.samples import RATE_HZ, Float32
from tests.edge.making import cut

SCALE_UV = 1000.0


def noise(samples: int, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    return (SCALE_UV * rng.normal(size=(samples, 2, 16))).astype(np.float32)


def run(parts: list[Float32], state: HighPassState) -> Float32:
    outputs = []
    for part in parts:
        state, output = HighPass().step(state, part)
        outputs.append(output)
    return np.concatenate(outputs)


def test_equals_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    sos = signal.butter(2, CUTOFF_HZ, "highpass", fs=RATE_HZ, output="sos")
    emg = noise(3001)
    ours = run([emg], HighPass().initial_state())
    np.testing.assert_allclose(ours, signal.sosfilt(sos, emg.astype(np.float64), axis=0), atol=1e-3)


def test_attenuates_by_3_db_at_the_cutoff_and_little_above() -> None:
    b, a = butterworth(CUTOFF_HZ, RATE_HZ)

    def gain(hz: float) -> float:
        z = np.exp(-2j * np.pi * hz / RATE_HZ * np.arange(3))
        return abs((b @ z) / (a @ z))

    assert gain(CUTOFF_HZ) == pytest.approx(1 / math.sqrt(2))
    assert gain(0) == pytest.approx(0, abs=1e-12)
    assert gain(RATE_HZ / 2) == pytest.approx(1)
    assert gain(4 * CUTOFF_HZ) > 0.99


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6))
def test_chunk_sizes_change_rounding_only(samples: int, at: list[int]) -> None:
    emg = noise(samples)
    start = HighPass().initial_state()
    whole = run([emg], start)
    parts = run([emg[part] for part in cut(samples, at)], start)
    np.testing.assert_allclose(parts, whole, atol=1e-6 * SCALE_UV)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 199))
def test_causal(changed: int) -> None:
    emg = noise(200)
    other = emg.copy()
    other[changed:] += SCALE_UV
    start = HighPass().initial_state()
    before, after = run([emg], start), run([other], start)
    # equal but for the order of additions within a block
    np.testing.assert_allclose(before[:changed], after[:changed], atol=1e-6 * SCALE_UV)
    assert abs(before[changed] - after[changed]).max() > 0.5 * SCALE_UV


def test_step_is_pure() -> None:
    state = HighPass().initial_state(noise(1)[0])
    kept = state.s.copy()
    HighPass().step(state, noise(100))
    np.testing.assert_array_equal(state.s, kept)


def test_held_offset_does_not_ring() -> None:
    offset = np.linspace(-3000, 3000, 32, dtype=np.float32).reshape(2, 16)
    out = run([np.broadcast_to(offset, (500, 2, 16))], HighPass().initial_state(offset))
    assert abs(out).max() < 1e-3
    rung = run([np.broadcast_to(offset, (500, 2, 16))], HighPass().initial_state())
    assert abs(rung).max() > 1000
