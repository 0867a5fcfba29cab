"""The front end as a layer says what edge's own front end says, chunk by chunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features import HOP, N_FFT
from edge.highpass import HighPass
from edge.manifest import Normalization
from edge.normalize import prior_from
from personalize import spec_numpy
from personalize.features import deployed_input, log_power
from personalize.front_end import front_end
from personalize.model import describe
from personalize.spec import NetworkSpec
from personalize.train import initial_network
from tests.personalize.toys import toy_session


@settings(max_examples=10, deadline=None)
@given(
    normalized=st.booleans(),
    frames=st.integers(1, 20),
    lookahead=st.integers(0, 5),
    uv_per_lsb=st.sampled_from([None, 0.5]),
    seed=st.integers(0, 99),
)
def test_a_chain_of_chunks_is_the_front_end(
    normalized: bool, frames: int, lookahead: int, uv_per_lsb: float | None, seed: int
) -> None:
    session = toy_session(seed, 2, filtered=False)
    if uv_per_lsb is not None:
        session = replace(
            session, emg_uv=np.rint(session.emg_uv / uv_per_lsb).astype(np.float32) * uv_per_lsb
        )
    rng = np.random.default_rng(seed)
    session.valid[rng.integers(len(session.valid), size=3), rng.integers(2, size=3)] = False
    power = log_power(session)
    network = initial_network("streaming" if normalized else "tds", 0)
    prior = prior_from([power]) if normalized else None
    manifest = describe(network, user="toy", simulated=True, sides=session.sides, prior=prior)
    expected = deployed_input(power, manifest)

    layer = front_end(manifest, uv_per_lsb=uv_per_lsb, lookahead=lookahead)
    network_spec = NetworkSpec("front", (layer,), 1)
    state = spec_numpy.initial_state(network_spec)
    # The filter starts at rest at the first sample, as live: an offset does not ring.
    state = (HighPass().initial_state(session.emg_uv[0]).s.astype(np.float32), *state[1:])
    samples = session.emg_uv / (uv_per_lsb or 1)
    reads = frames + lookahead
    parts = []
    for start in range(0, len(expected) - reads + 1, frames):
        chunk = samples[start * HOP :][: (reads - 1) * HOP + N_FFT]
        valid = power.valid[start : start + reads].astype(np.float32)
        found, state = spec_numpy.step(network_spec, chunk, state, valid)
        assert len(found) == reads
        parts.append(found[:frames])
    found = np.concatenate(parts)
    # Bins at the floor of the logarithm are differences of large numbers: 1e-6 uV^2 beside 1e3 in the window.
    error = np.abs(found - expected[: len(found)])
    assert np.quantile(error, 0.999) < 2e-4
    assert error.max() < 2e-2


@pytest.mark.parametrize("normalized", [True, False])
def test_its_state_starts_at_zero(normalized: bool) -> None:
    session = toy_session(0, 1)
    network = initial_network("streaming" if normalized else "tds", 0)
    prior = prior_from([log_power(session)]) if normalized else None
    manifest = describe(network, user="toy", simulated=True, sides=session.sides, prior=prior)
    layer = front_end(manifest)
    names = ["filter", "norm_mean", "norm_variance", "norm_weight"]
    state = spec_numpy.initial_state(NetworkSpec("front", (layer,), 1))
    assert len(state) == len(names[: 4 if normalized else 1])
    assert isinstance(manifest.normalization, Normalization) == normalized
