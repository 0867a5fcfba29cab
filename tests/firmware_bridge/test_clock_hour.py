"""Two bands over an hour: how far apart their clocks put one moment, and how far from the truth."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_bridge.clock import BandClock
from tests.firmware_bridge.arrivals import (
    REAL,
    Crystal,
    Radio,
    errors_ms,
    events,
    recorded,
    traffic,
    uniform,
)

HOUR_S = 3600.0
SETTLED_S = 60  # from then on the skew is known
CLOCK = BandClock()


def hour_ms(radio: Radio, seed: int, wander: float = 0.0, **options) -> tuple[np.ndarray, np.ndarray]:
    """(seconds,) between the bands, (2, seconds) from the truth; crystals at both ends of +-100 ppm."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(SETTLED_S, HOUR_S - 2)
    found = []
    for ppm in (100.0, -100.0):
        run = traffic(HOUR_S, radio, Crystal(ppm, wander, rng.uniform(0, 6)), rng, **options)
        found.append(errors_ms(CLOCK, run, seconds)[0])
    return found[0] - found[1], np.array(found)


def p99(errors: np.ndarray) -> float:
    return float(np.percentile(np.abs(errors), 99))


def test_bands_agree_to_a_millisecond_for_an_hour_of_50_ms_jitter():
    between_ms, from_truth_ms = hour_ms(uniform(0.05), 1, tightest=3)
    assert p99(between_ms) <= 1.0
    assert p99(from_truth_ms) <= 1.0


@pytest.mark.skipif(not REAL.exists(), reason="the recorded arrival times are not beside the repository")
def test_bands_agree_to_a_millisecond_for_an_hour_of_recorded_delays():
    between_ms, from_truth_ms = hour_ms(recorded(), 1, tightest=3)
    assert p99(between_ms) <= 1.0
    assert p99(from_truth_ms) <= 5.0


def test_arrivals_alone_do_not():
    """The control: what each packet's own arrival says of the moment it was taken."""
    rng = np.random.default_rng(0)
    late_ms = []
    for ppm in (100.0, -100.0):
        run = traffic(60, uniform(0.05), Crystal(ppm), rng)
        late_ms.append((run.arrival_s - Crystal(ppm).host_s(run.index / 2000)) * 1e3)
    assert p99(late_ms[0] - late_ms[1]) > 10.0


def test_a_clock_that_knows_no_skew_does_not(monkeypatch):
    monkeypatch.setattr("firmware_bridge.clock._MAX_SKEW", 0.0)
    between_ms, _ = hour_ms(uniform(0.05), 1, tightest=1, ping_s=None)
    assert p99(between_ms) > 10.0


def test_the_tightest_packets_of_a_second_are_all_that_count():
    """What makes the hours above quick."""
    seconds = np.arange(60.0, 118.0)
    options = {"radio": uniform(0.05), "crystal": Crystal(50.0), "ping_s": None}
    all_ms, thinned_ms = (
        errors_ms(CLOCK, traffic(120, rng=np.random.default_rng(3), tightest=few, **options), seconds)[0]
        for few in (None, 3)
    )
    np.testing.assert_allclose(all_ms, thinned_ms, rtol=0, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("interval_s", [0.0075, 0.015, 0.03, 0.05])
@pytest.mark.parametrize("samples", [(7, 7), (13, 13), (19, 19), (31, 31), (13, 31)])
def test_keys_and_bands_agree_whatever_the_interval_and_the_packets(samples, interval_s):
    """With the crystals' temperature changing by 1 ppm a minute."""
    between_ms, from_truth_ms = hour_ms(events(interval_s), 2, wander=1.0, samples=samples, tightest=3)
    assert p99(between_ms) <= 1.0
    assert p99(from_truth_ms) <= 2.0
