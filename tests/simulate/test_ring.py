"""Potentials on the skin: a turned ring sees a turned picture, and potentials add."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.samples import ELECTRODES
from simulate.anatomy import MotorUnits
from simulate.difficulty import preset
from simulate.firing import Discharges
from simulate.ring import POTENTIAL_SAMPLES, Donning, conduct, potentials
from simulate.seeds import stream

MEDIUM = preset("medium")
UNITS = MotorUnits.grow(stream("anatomy", 1))
STILL = Donning(0.0, 0.0, 0.0, np.ones(ELECTRODES), np.zeros(ELECTRODES), 0.0)


@given(rotation=st.floats(-3, 3), steps=st.integers(-20, 20))
@settings(max_examples=25)
def test_turning_the_ring_by_whole_electrodes_rolls_them(rotation, steps):
    here = potentials(UNITS, replace(STILL, rotation=rotation), MEDIUM)
    turned = potentials(UNITS, replace(STILL, rotation=rotation + steps), MEDIUM)
    np.testing.assert_allclose(turned, np.roll(here, -steps, axis=2), atol=1e-3)


@given(rotation=st.floats(0, 1))
@settings(max_examples=25)
def test_a_small_turn_changes_little(rotation):
    here, near = (potentials(UNITS, replace(STILL, rotation=r), MEDIUM) for r in (rotation, rotation + 0.01))
    assert np.abs(near - here).max() < 0.05 * np.abs(here).max()


def test_a_unit_is_loudest_under_the_nearest_electrode():
    size = np.abs(potentials(UNITS, STILL, MEDIUM)).max(1)  # (units, E)
    nearest = np.round(UNITS.angle / (2 * np.pi / ELECTRODES)).astype(int) % ELECTRODES
    assert np.array_equal(size.argmax(1), nearest)


def test_potentials_start_and_end_near_zero():
    seen = np.abs(potentials(UNITS, STILL, MEDIUM))
    assert seen[:, [0, -1]].max() < 0.05 * seen.max()


def test_potentials_add():
    rng = stream("test", 1)
    count = 70_000  # longer than two pieces of a still ring
    fired = Discharges(rng.integers(0, count, 500), rng.integers(0, len(UNITS.muscle), 500))
    seen = potentials(UNITS, STILL, MEDIUM)
    expected = np.zeros((count + POTENTIAL_SAMPLES, ELECTRODES))
    for sample, unit in zip(*fired, strict=True):
        expected[sample : sample + POTENTIAL_SAMPLES] += seen[unit]
    np.testing.assert_allclose(conduct(fired, UNITS, STILL, MEDIUM, count), expected[:count], atol=1e-3)


@pytest.mark.parametrize("elapsed", [0.0, 0.5, 1.0])
def test_creep_turns_the_ring_about_its_middle(elapsed):
    creeping = replace(STILL, rotation=0.3, creep=0.8)
    turned = replace(STILL, rotation=0.3 + 0.8 * (elapsed - 0.5))
    np.testing.assert_allclose(
        potentials(UNITS, creeping, MEDIUM, elapsed), potentials(UNITS, turned, MEDIUM), atol=1e-4
    )
