"""Numbers: whatever is in its range passes, everything else is refused with what was expected."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from qwrist.verbs.numbers import check_number


@given(st.floats(0, 600, exclude_min=True))
def test_what_is_positive_and_not_too_much_passes(value: float) -> None:
    check_number("--seconds", value, most=600)


@given(st.floats(max_value=0) | st.floats(600, exclude_min=True) | st.just(math.nan))
def test_nothing_else_passes(value: float) -> None:
    with pytest.raises(BadInput, match=r"^--seconds is \S+; expected more than 0 and at most 600$"):
        check_number("--seconds", value, most=600)


@given(st.floats())
def test_a_least_value_is_one_that_passes(value: float) -> None:
    if 1 <= value <= 600:
        check_number("--seconds", value, least=1, most=600)
    else:
        with pytest.raises(BadInput, match="expected 1 to 600"):
            check_number("--seconds", value, least=1, most=600)


def test_an_option_that_was_left_out_passes() -> None:
    check_number("--seconds", None, most=600)
