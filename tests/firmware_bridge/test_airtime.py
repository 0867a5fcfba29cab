"""The model of the air: its parts add up, and real and simulated sEMG stay within what two bands may take."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from firmware_bridge.airtime import PHY_1M, Air, Usage, measure, predict
from firmware_bridge.packet import HEADER_BYTES, Codec
from simulate.wearer import Wearer
from tests.firmware_bridge.real_emg import REFERENCES, real_emg
from tests.firmware_bridge.sources import noise_uv

LIMITS = {247: 0.35, 185: 0.40}  # of the air for both bands; 185 is what older iOS grants
TRIAL = slice(2000, 3000)  # half a second of each


def test_a_full_link_packet_takes_the_time_of_its_bytes_and_four_spaces():
    """251 bytes of data take 1064 us with all that goes around them, an empty packet 44."""
    assert Air().notification_us(244) == 1064 + 44 + 2 * 150
    assert Air(encrypted=False).notification_us(244) == 1064 - 4 * 4 + 44 + 2 * 150
    assert Air(phy=PHY_1M).notification_us(244) == 2 * 1064 - 8 + 2 * 44 - 8 + 2 * 150


def test_a_long_notification_is_cut():
    """512 + 7 bytes are 251 + 251 + 17."""
    tail = Air().notification_us(10)
    assert Air().notification_us(512) == 2 * Air().notification_us(244) + tail


@given(st.integers(1, 512), st.floats(0, 0.5))
def test_a_byte_more_never_takes_less_and_damage_takes_its_part_again(value_bytes, repeated):
    assert Air().notification_us(value_bytes) < Air().notification_us(value_bytes + 1)
    again = Air(repeated=repeated).notification_us(value_bytes) * (1 - repeated)
    assert again == pytest.approx(Air().notification_us(value_bytes))


def test_an_event_without_a_notification_costs_two_empty_packets():
    assert Air(interval_ms=10).share([], 1.0) == pytest.approx(100 * (2 * 44 + 2 * 150) * 1e-6)
    one = Air(interval_ms=10).share([100], 0.01)
    assert one == pytest.approx(Air().notification_us(100) / 10_000)


@pytest.mark.parametrize("codec", [Codec.RAW16, Codec.PACK12])
def test_codecs_of_fixed_length_cost_their_bits(codec):
    usage = measure(noise_uv(4000)[:, 0], codec, 247)
    assert usage.bits_per_sample == codec.bits
    assert usage.samples_per_packet == 7
    assert usage.packets_per_s == pytest.approx(2000 / 7)
    assert usage.bytes_per_s == pytest.approx((HEADER_BYTES + 7 * codec.sample_bytes) * 2000 / 7)
    assert usage.both == 2 * usage.share


def test_what_is_predicted_is_what_is_measured():
    emg_uv = noise_uv(4000)[:, 0]
    measured = measure(emg_uv, Codec.RICE12, 247)
    predicted = predict(measured.bits_per_sample, 247)
    assert predicted.both == pytest.approx(measured.both, rel=0.05)
    assert predicted.bytes_per_s == pytest.approx(measured.bytes_per_s, rel=0.05)


@pytest.mark.parametrize(("mtu", "bits"), [(247, 7.0), (185, 6.9)])
def test_seven_bits_are_what_the_limits_allow(mtu, bits):
    assert predict(bits, mtu).both <= LIMITS[mtu] < predict(bits + 0.3, mtu).both


def test_a_signal_that_fills_no_packet_is_refused():
    with pytest.raises(BadInput, match="no packet is filled"):
        measure(np.zeros((0, 16), np.float32), Codec.RICE12, 247)
    with pytest.raises(BadInput, match="no packet is filled"):
        measure(np.zeros((100, 16), np.float32), Codec.RAW16, 30)


@cache
def real_usages(reference: str, mtu: int) -> tuple[Usage, ...]:
    rings = real_emg(reference)
    return tuple(
        measure(trial[TRIAL], Codec.RICE12, mtu)
        for ring in (rings.forearm_uv, rings.wrist_uv)
        for trial in ring
    )


@pytest.mark.parametrize("mtu", LIMITS)
@pytest.mark.parametrize("reference", REFERENCES)
def test_real_gestures_stay_within_the_air_that_two_bands_may_take(reference, mtu):
    usages = real_usages(reference, mtu)
    assert max(usage.both for usage in usages) <= LIMITS[mtu]
    assert np.mean([usage.both for usage in usages]) <= 0.8 * LIMITS[mtu]


@pytest.mark.parametrize("mtu", LIMITS)
@pytest.mark.parametrize("reference", REFERENCES)
def test_real_gestures_need_three_bits_at_rest_and_six_at_their_strongest(reference, mtu):
    """So that a signal which lost its muscles on the way here would be noticed."""
    bits = [usage.bits_per_sample for usage in real_usages(reference, mtu)]
    assert 2.5 < min(bits) < 3.5 < np.mean(bits) < 5.5 < max(bits) < 6.5


@pytest.mark.parametrize("mtu", LIMITS)
@pytest.mark.parametrize("difficulty", ["medium", "hard"])
def test_simulated_typing_stays_within_the_air_that_two_bands_may_take(difficulty, mtu):
    emg_uv = Wearer(3, difficulty).perform(0, duration_s=2).emg_uv
    for wrist in (0, 1):
        assert measure(emg_uv[:, wrist], Codec.RICE12, mtu).both <= LIMITS[mtu]
