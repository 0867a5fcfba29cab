"""Discharges: recruited in order of size, at the rate that the drive asks for."""

import numpy as np
import pytest

from edge.samples import RATE_HZ
from simulate.anatomy import MUSCLES, MotorUnits
from simulate.firing import fire
from simulate.seeds import stream
from simulate.strokes import GRID_HZ

UNITS = MotorUnits.grow(stream("anatomy", 1))
SECONDS = 20


def counts(level):
    """Discharges of each unit at a constant drive."""
    drive = np.full((SECONDS * GRID_HZ + 1, len(MUSCLES)), level)
    fired = fire(drive, UNITS, stream("firing", 1))
    return np.bincount(fired.unit, minlength=len(UNITS.muscle)), fired


@pytest.mark.parametrize("level", [0.0, 0.1, 0.4, 0.9])
def test_units_below_their_threshold_are_silent_and_others_keep_their_rate(level):
    fired, _ = counts(level)
    recruited = UNITS.threshold < level
    assert not fired[~recruited].any()
    rate_hz = np.minimum(UNITS.onset_hz + 55 * (level - UNITS.threshold), 42)[recruited]
    # A count's standard deviation is 0.38 sqrt(42 x 20) = 11 discharges: 5 of them are 2.8 Hz.
    assert np.all(np.abs(fired[recruited] / SECONDS - rate_hz) < 2.8)


def test_every_discharge_is_within_the_session():
    _, fired = counts(0.5)
    assert fired.sample.min() >= 0 and fired.sample.max() < SECONDS * RATE_HZ


def test_discharges_are_regular_as_motor_units_are():
    _, fired = counts(0.9)
    gaps = [np.diff(fired.sample[fired.unit == unit]) for unit in range(0, len(UNITS.muscle), 12)]
    variation = [gap.std() / gap.mean() for gap in gaps if len(gap) > 100]
    assert 0.3 < np.mean(variation) < 0.45  # gamma of order 7: 0.38


def test_more_force_recruits_larger_units():
    first = UNITS.muscle == 0
    assert np.corrcoef(np.argsort(UNITS.threshold[first]), UNITS.strength[first])[0, 1] > 0.7
