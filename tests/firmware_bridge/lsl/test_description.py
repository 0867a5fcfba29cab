"""What a stream must say of itself, and the sentence for what it must not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import BandRefused
from firmware_bridge.lsl.description import Channels, Description, check, chosen, scale_uv

GOOD = Description("amp", "EMG", 32, 2000.0, numeric=True, units=("microvolts",) * 32)


def test_both_bands_in_microvolts_are_taken_as_they_are():
    check(GOOD, 2)
    np.testing.assert_array_equal(scale_uv(GOOD), np.ones(32))


@pytest.mark.parametrize(
    ("changes", "bands", "says"),
    [
        ({"channels": 8}, 2, "has 8 channels; expected 32, 16 a band"),
        ({"channels": 32}, 1, "has 32 channels; expected 16"),
        ({"rate_hz": 1000}, 2, "says 1000 Hz; expected 2000"),
        ({"rate_hz": 2048}, 2, "says 2048 Hz; expected 2000"),
        ({"rate_hz": 0}, 2, "no regular rate"),
        ({"numeric": False}, 2, "carries text"),
    ],
)
def test_what_is_no_band_is_named(changes, bands, says):
    with pytest.raises(BandRefused, match=says):
        check(GOOD._replace(**changes), bands)


@pytest.mark.parametrize(
    ("told", "uv"),
    [("uV", 1), ("µV", 1), ("-6", 1), ("mV", 1e3), ("millivolts", 1e3), ("Volts", 1e6), ("nV", 1e-3)],
)
def test_the_usual_spellings_of_a_unit(told, uv):
    np.testing.assert_allclose(scale_uv(GOOD._replace(units=(told,) * 32)), uv)
    np.testing.assert_allclose(scale_uv(GOOD._replace(units=()), told), uv)


def test_each_channel_may_have_its_unit():
    units = ("millivolts",) * 16 + ("microvolts",) * 16
    np.testing.assert_array_equal(scale_uv(GOOD._replace(units=units)), [1e3] * 16 + [1] * 16)


def test_channels_are_chosen_with_their_units():
    muovi = GOOD._replace(channels=38, units=("microvolts",) * 32 + ("counts",) * 6)
    check(chosen(muovi, Channels(0, 32)), 2)
    np.testing.assert_array_equal(scale_uv(chosen(muovi, Channels(16, 32))), np.ones(16))
    with pytest.raises(BandRefused, match="has no channel 40"):
        chosen(muovi, Channels(8, 40))


@pytest.mark.parametrize(
    ("units", "given_unit", "says"),
    [
        ((), None, "does not say its unit"),
        ((None,) * 32, None, "does not say its unit"),
        (("uv",) * 31, None, "the unit of 31 channels only"),
        (("uv",) * 31 + (None,), None, "the unit of 31 channels only"),
        (("furlongs",) * 32, None, "'furlongs'; expected microvolts"),
        (("volts",) * 32, "uv", "is in volts, not in uv"),
    ],
)
def test_a_unit_that_is_unknown_or_contradicted_is_refused(units, given_unit, says):
    with pytest.raises(BandRefused, match=says):
        scale_uv(GOOD._replace(units=units), given_unit)


@given(
    st.builds(Description, st.text(), st.text(), st.integers(), st.floats(), st.booleans()), st.integers(1, 2)
)
def test_nothing_else_is_raised_whatever_a_stream_says(stream, bands):
    try:
        check(stream, bands)
    except BandRefused:
        pass
    else:
        assert stream.channels == 16 * bands
