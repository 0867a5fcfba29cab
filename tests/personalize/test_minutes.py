import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize.minutes import FEWEST, MORE, MOST, exponent, outlook

CERS = st.floats(0.1, 100)
ON_THE_CURVE = st.floats(FEWEST, MOST - 1.01)


@given(cer=CERS, minutes=ON_THE_CURVE, more=st.floats(1, 30))
def test_more_is_never_worse_and_never_more_than_there_is(cer, minutes, more):
    told = outlook(cer, minutes, more)
    assert told is not None
    assert 0 < told.points < cer
    assert minutes + told.minutes <= MOST + 1e-9
    further = outlook(cer, minutes, 2 * more)
    assert further is not None
    assert further.points >= told.points


@given(cer=CERS, minutes=st.floats(FEWEST, MOST / 2 - MORE))
def test_the_first_minutes_bring_most(cer, minutes):
    early, late = outlook(cer, minutes), outlook(cer, 2 * minutes)
    assert early is not None
    assert late is not None
    assert early.points > late.points


@given(cer=CERS, first=st.floats(FEWEST, 8), second=st.floats(1, 8), third=st.floats(1, 8))
def test_two_steps_along_the_curve_are_one(cer, first, second, third):
    one = outlook(cer, first, second)
    assert one is not None
    two = outlook(cer - one.points, first + second, third)
    at_once = outlook(cer, first, second + third)
    assert two is not None
    assert at_once is not None
    assert at_once.points == pytest.approx(one.points + two.points)


@pytest.mark.parametrize("minutes", [0.0, 0.99 * FEWEST, MOST - 0.9, MOST, MOST + 1, 500.0])
def test_off_the_curve_nothing_is_promised(minutes):
    assert outlook(30.0, minutes) is None


def test_near_its_end_only_what_is_left_is_promised():
    told = outlook(20.0, MOST - 2)
    assert told is not None
    assert told.minutes == 2


@given(steepness=st.floats(0.05, 1.5), at_one=st.floats(1, 100))
def test_a_power_law_gets_its_exponent_back(steepness, at_one):
    cers = {minutes: at_one * minutes**-steepness for minutes in (1.0, 4.0, 32.0)}
    assert exponent(cers) == pytest.approx(steepness)


@pytest.mark.parametrize("cers", [{}, {1.0: 30.0}, {1.0: 30.0, 2.0: 0.0}])
def test_a_curve_takes_two_errors(cers):
    with pytest.raises(ValueError, match="two CERs"):
        exponent(cers)
