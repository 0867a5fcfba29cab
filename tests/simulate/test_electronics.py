"""The band: its noise is a real band's, the mains is where it belongs, a lifted electrode hears no muscle."""

from dataclasses import replace

import numpy as np
import pytest

from edge.highpass import HighPass
from edge.samples import ELECTRODES, RATE_HZ
from simulate.difficulty import preset
from simulate.electronics import ContactLoss, Electronics, amplifier_noise
from simulate.seeds import stream

SECONDS = 20
COUNT = SECONDS * RATE_HZ
SILENCE = np.zeros((COUNT, ELECTRODES), np.float32)
QUIET = replace(preset("medium"), artefact_uv=0.0, contact_losses_per_min=0.0)


def band(difficulty=QUIET, mains_hz=50.0, count=COUNT):
    return Electronics.draw(difficulty, mains_hz, count, stream("band", 1))


def density(signal):
    """Power of each hertz, averaged over electrodes, and the frequencies."""
    seconds = signal[: len(signal) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ, ELECTRODES)
    window = np.hanning(RATE_HZ)[:, None]
    power = np.abs(np.fft.rfft((seconds - seconds.mean(1, keepdims=True)) * window, axis=1)) ** 2
    return power.mean((0, 2))


def test_noise_is_that_of_a_real_band():
    noise = amplifier_noise(COUNT, stream("noise", 1))
    assert noise.shape == (COUNT, ELECTRODES) and noise.dtype == np.float32
    assert noise.std(0) == pytest.approx(np.full(ELECTRODES, 2.46), rel=0.1)
    power = density(noise)
    assert power[400:500].mean() < power[100:150].mean() < power[20:30].mean()  # 1/f
    assert power[970:].mean() < 0.5 * power[600:700].mean()  # the anti-alias filter


def test_noise_of_different_electrodes_is_independent():
    together = np.corrcoef(amplifier_noise(COUNT, stream("noise", 1)).T)
    assert np.abs(together - np.eye(ELECTRODES)).max() < 0.15


@pytest.mark.parametrize(("mains_hz", "absent_hz"), [(50.0, 60), (60.0, 50)])
def test_mains_stands_out_at_its_frequency_and_third_harmonic(mains_hz, absent_hz):
    power = density(band(mains_hz=mains_hz).record(SILENCE, [], stream("noise", 1)))
    for order in (1, 3):
        hum = int(order * mains_hz)
        assert power[hum] > 4 * np.median(power[hum - 8 : hum + 9])
    assert power[absent_hz] < 3 * np.median(power[absent_hz - 8 : absent_hz + 9])


def test_samples_are_raw_and_the_high_pass_takes_the_offset_away():
    raw = band().record(SILENCE, [], stream("noise", 1))
    assert 50 < raw.mean(0).std() < 400
    filtered = np.zeros((COUNT, 2, ELECTRODES), np.float32)
    filtered[:, 0] = raw
    high_pass = HighPass()
    _, filtered = high_pass.step(high_pass.initial_state(filtered[0]), filtered)
    assert np.abs(filtered[RATE_HZ:, 0].mean(0)).max() < 0.1


def test_a_lost_contact_silences_the_muscle_and_lets_hum_in():
    muscle = 30 * stream("muscle", 1).standard_normal((COUNT, ELECTRODES), dtype=np.float32)
    lost = replace(band(), losses=(ContactLoss(3, 10_000, 30_000),), offset_creep_uv=np.zeros(ELECTRODES))
    raw = lost.record(muscle, [], stream("noise", 1))
    spread = raw[10_000:30_000].std(0)
    assert spread[3] < 8 < 25 < np.delete(spread, 3).min()
    assert raw[:10_000, 3].std() > 25 and raw[30_000:, 3].std() > 25


def test_losses_come_at_the_rate_asked_for_and_end_with_the_session():
    often = replace(QUIET, contact_losses_per_min=30.0)
    losses = band(often, count=60 * RATE_HZ).losses
    assert 10 < len(losses) < 60
    assert all(0 <= loss.start < loss.stop <= 60 * RATE_HZ for loss in losses)


def test_about_half_of_the_presses_knock_the_band():
    shaky = band(replace(QUIET, artefact_uv=1000.0))
    still = replace(shaky, artefact_uv=np.zeros(ELECTRODES))
    presses_s = np.arange(1, SECONDS - 1)
    knocked, calm = (b.record(SILENCE, presses_s, stream("noise", 2)) for b in (shaky, still))
    shake = np.abs(knocked - calm).max(1)  # (T,) of artefacts alone
    before, after = (
        np.array([shake[int((s + offset) * RATE_HZ) :][:100].max() for s in presses_s])
        for offset in (-0.05, 0.0)
    )
    assert 0.25 < np.mean(after > before + 20) < 0.75
