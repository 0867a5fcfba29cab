from dataclasses import replace

import numpy as np
import pytest

from edge.features import LogSpectrogram
from edge.highpass import HighPass
from edge.normalize import RunningNorm, prior_from
from personalize.features import FramedSession, log_power, network_input
from tests.personalize.toys import toy_session


def live_frames(session, prior, chunk):
    """The same front end as edge.pipeline's, chunk by chunk."""
    highpass, spectrogram, norm = HighPass(), LogSpectrogram(), RunningNorm()
    filtering, framing = highpass.initial_state(session.emg_uv[0]), spectrogram.initial_state()
    normalizing, parts = norm.initial_state(prior), []
    for start in range(0, len(session.emg_uv), chunk):
        emg = session.emg_uv[start : start + chunk]
        if not session.filtered:
            filtering, emg = highpass.step(filtering, emg)
        framing, frames = spectrogram.step(framing, emg, session.valid[start : start + chunk])
        normalizing, values = norm.step(normalizing, frames)
        parts.append(values)
    return np.concatenate(parts)


@pytest.mark.parametrize("filtered", [True, False])
def test_training_sees_what_the_live_path_sees(filtered):
    session = toy_session(1, 6, filtered=filtered)
    session = replace(session, emg_uv=session.emg_uv + np.float32(300))  # a band's offset
    frames = log_power(session)
    prior = prior_from([frames])
    np.testing.assert_allclose(network_input(frames, prior), live_frames(session, prior, 117), atol=1e-3)


def test_the_cache_keeps_it_to_half_precision():
    session = toy_session(1, 40)  # longer than one slice of the normalisation
    framed = FramedSession.of(session)
    prior = prior_from([framed.frames])
    exact = network_input(log_power(session), prior)
    np.testing.assert_allclose(framed.prepared(prior).values.astype(np.float32), exact, atol=0.02)
    assert framed.prepared(prior).values.dtype == np.float16


@pytest.mark.parametrize("normalized", [True, False])
def test_a_band_that_is_not_worn_is_zero(normalized):
    framed = FramedSession.of(toy_session(1, 3, sides=("right",)))
    prior = prior_from([framed.frames]) if normalized else None
    values = framed.prepared(prior).values
    assert not values[:, 0].any()
    assert values[:, 1].any()


def test_a_part_is_cut_with_its_labels():
    framed = FramedSession.of(toy_session(1, 6))
    part = framed.between(100, 300)
    assert len(part.values) == len(part.valid) == 200
    assert np.array_equal(part.values[0], framed.values[100])
    assert 0 < part.labels.count < framed.labels.count
