"""What is read from the status and told by the name survives the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.samples import SIDES
from firmware_bridge.errors import BandRefused
from firmware_bridge.gatt import (
    Status,
    advertised_name,
    decode_status,
    encode_status,
    parse_name,
)

statuses = st.builds(
    Status,
    st.integers(0, 255),
    st.sampled_from(SIDES),
    st.integers(0, 255),
    st.integers(1, 3),
    st.integers(0, 0xFFFF),
    st.integers(23, 517),
    st.integers(0, 0xFFFFFFFF),
    st.integers(6, 3200),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.booleans(),
)


@given(statuses, st.binary(max_size=4))
def test_a_status_survives_and_later_versions_may_append(status, more):
    assert decode_status(encode_status(status) + more) == status


@pytest.mark.parametrize("data", [b"", b"\x01" * 23, b"\x01\x02" + bytes(22)])
def test_what_is_no_status_is_refused(data):
    with pytest.raises(BandRefused, match="update the band's firmware"):
        decode_status(data)


@given(st.sampled_from(SIDES), st.integers(0, 9))
def test_a_name_tells_side_and_version_in_eight_characters(side, version):
    name = advertised_name(side, version)
    assert len(name) == 8
    assert parse_name(name) == (version, side)


@pytest.mark.parametrize("name", [None, "", "Qwrist1", "Qwrist1X", "QwristxL", "qwrist1L", "Qwrist1LL"])
def test_other_names_are_not_ours(name):
    assert parse_name(name) is None
