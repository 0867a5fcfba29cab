"""Amplifiers as bands: what they send arrives, bit for bit; what they are not is named."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import numpy as np
import pytest

from edge.errors import BadInput, SourceLost
from edge.samples import RATE_HZ
from firmware_bridge.errors import BandNotFound, BandRefused
from firmware_bridge.lsl.description import Channels
from firmware_bridge.lsl.source import LslStreams, open_lsl
from tests.firmware_bridge.lsl.loopback import Amplifier, network

SAMPLES = 4992  # whole blocks of the grid


@pytest.fixture
def amplifier(monkeypatch):
    """Makes amplifiers that are off the network when the test is over."""
    monkeypatch.setattr("firmware_bridge.lsl.inlet._LOOK_S", 0.3)  # this network is quick
    made = []

    def make(*arguments, **settings):
        made.append(Amplifier(*arguments, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def noise(samples, channels, seed=0):
    return np.random.default_rng(seed).normal(0, 80, (samples, channels)).astype(np.float32)


class Heard:
    """What a source delivered until it was lost, or `samples` were there."""

    def __init__(self, chunks, lost, info):
        self.segments = [start for chunk in chunks for start in chunk.segments]
        self.first = [chunk.first_index for chunk in chunks]
        self.lengths = [len(chunk.time_s) for chunk in chunks]
        self.time_s, self.emg_uv, self.valid = (
            np.concatenate([getattr(chunk, name) for chunk in chunks])
            for name in ("time_s", "emg_uv", "valid")
        )
        self.lost, self.info = lost, info


def listen(streams, act, *, sides=("left", "right"), samples=SAMPLES, **options):
    """Open the streams, let the amplifiers `act`, and take what comes."""

    async def run():
        async with open_lsl(streams, sides, timeout_s=2.0, **options) as source:
            acting = asyncio.create_task(act())
            chunks, lost = [], None
            try:
                async with aclosing(source.chunks()) as incoming:
                    async for chunk in incoming:
                        chunks.append(chunk)
                        if sum(len(chunk.time_s) for chunk in chunks) >= samples:
                            break
            except SourceLost as error:
                lost = str(error)
            acting.cancel()
            return Heard(chunks, lost, source.info)

    return asyncio.run(asyncio.wait_for(run(), 30))


def test_both_bands_of_one_stream_arrive_to_the_bit(amplifier):
    band, sent = amplifier("one"), noise(SAMPLES, 32)
    sent[100:130, 3] = np.nan  # an electrode that is no number makes the band's sample a missing one

    async def act():
        band.send(sent)

    heard = listen(LslStreams(), act)
    valid = np.ones((SAMPLES, 2), np.bool_)
    valid[100:130, 0] = False
    np.testing.assert_array_equal(heard.valid, valid)
    expected = sent.reshape(SAMPLES, 2, 16)
    np.testing.assert_array_equal(heard.emg_uv[valid], expected[valid])
    np.testing.assert_array_equal(heard.emg_uv[100:130, 0], np.broadcast_to(expected[99, 0], (30, 16)))
    assert heard.first == [0, *np.cumsum(heard.lengths)[:-1]]
    assert heard.info == ("one", 2000, ("left", "right"), False)
    assert np.diff(heard.time_s).min() > 0
    taken_s = band.start_s + np.arange(SAMPLES) / RATE_HZ
    to_host_s = time.monotonic() - network().local_clock()
    assert np.abs(heard.time_s - taken_s - to_host_s).max() < 2e-3  # seconds of samples, not of waiting


@pytest.mark.parametrize(
    ("form", "unit", "of_a_count"),
    [("int16", "millivolts", 1e3), ("double64", "volts", 1e6), ("int32", "uV", 1.0)],
)
def test_units_and_number_formats_become_microvolts(amplifier, form, unit, of_a_count):
    counts = np.random.default_rng(0).integers(-100, 100, (SAMPLES, 32))
    band = amplifier("formats", form=form, unit=unit)

    async def act():
        band.send(counts.astype(network().lib.fmt2npdtype[network().lib.string2fmt[form]]))

    heard = listen(LslStreams("formats"), act)
    np.testing.assert_allclose(heard.emg_uv.reshape(SAMPLES, 32), counts * of_a_count, rtol=1e-6)


@pytest.mark.parametrize(("late", "ahead"), [(0, 150), (1, 1300), (1, 4100)])
def test_streams_that_begin_apart_are_on_one_grid_from_where_both_are(amplifier, late, ahead):
    """By their stamps; what one sent before the other began is not the other's loss."""
    bands = amplifier("amp L", 16), amplifier("amp R", 16)
    sent = noise(SAMPLES + ahead, 16), noise(SAMPLES, 16, seed=1)

    async def act():
        early_s = bands[1 - late].start_s
        bands[late].start_s = early_s + ahead / RATE_HZ
        bands[1 - late].send(sent[0])
        bands[late].send(sent[1])

    heard = listen(LslStreams(left="amp L", right="amp R"), act, samples=SAMPLES - 32)  # whole blocks
    assert heard.valid.all()
    np.testing.assert_array_equal(heard.emg_uv[:, 1 - late], sent[0][ahead:][: len(heard.valid)])
    np.testing.assert_array_equal(heard.emg_uv[:, late], sent[1][: len(heard.valid)])
    assert heard.first[0] == 0


def test_a_band_whose_neighbour_sends_nothing_is_delivered_all_the_same(amplifier):
    left, _ = amplifier("amp L", 16), amplifier("amp R", 16)
    sent = noise(SAMPLES, 16)

    async def act():
        left.send(sent)

    heard = listen(LslStreams(left="amp L", right="amp R"), act, samples=SAMPLES + 1, silence_s=1.0)
    assert "has sent nothing for 1 s" in heard.lost
    np.testing.assert_array_equal(heard.emg_uv[:, 0], sent)
    assert not heard.valid[:, 1].any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_band_of_a_stream_with_both_or_with_one(amplifier, side):
    both, one = amplifier("both", 32), amplifier("alone", 16)
    sent, wrist = noise(SAMPLES, 32), ["left", "right"].index(side)

    async def act():
        both.send(sent)
        one.send(sent[:, :16])

    heard = listen(LslStreams("both"), act, sides=(side,))
    np.testing.assert_array_equal(heard.emg_uv[:, wrist], sent[:, 16 * wrist : 16 * wrist + 16])
    assert not heard.valid[:, 1 - wrist].any()
    heard = listen(LslStreams(**{side: "alone"}), act, sides=(side,))
    np.testing.assert_array_equal(heard.emg_uv[:, wrist], sent[:, :16])


def test_channels_are_chosen_from_a_stream_that_has_more(amplifier):
    band, sent = amplifier("muovi", 38), noise(SAMPLES, 38)

    async def act():
        band.send(sent)

    heard = listen(LslStreams("muovi", channels=Channels(3, 35)), act)
    np.testing.assert_array_equal(heard.emg_uv.reshape(SAMPLES, 32), sent[:, 3:35])


def test_samples_that_the_amplifier_lost_are_declared(amplifier):
    band, sent = amplifier("lossy"), noise(SAMPLES, 32)

    async def act():
        band.send(sent[:4500])
        band.send(sent[4500 : SAMPLES - 320], 4820)

    heard = listen(LslStreams("lossy"), act)
    missing = (np.arange(SAMPLES) >= 4500) & (np.arange(SAMPLES) < 4820)
    np.testing.assert_array_equal(heard.valid, np.stack([~missing, ~missing], 1))
    np.testing.assert_array_equal(heard.emg_uv[heard.valid[:, 0]].reshape(-1, 32), sent[: SAMPLES - 320])


def test_a_program_that_starts_again_goes_on_in_the_same_stream(amplifier):
    first, sent = amplifier("again", source_id="amp 7"), noise(SAMPLES, 32)
    pause_s = 2.0

    async def act():
        first.send(sent[:4500])
        await asyncio.sleep(0.2)
        start_s = first.start_s
        first.close()
        second = amplifier("again", source_id="amp 7")
        second.start_s = start_s + pause_s
        for _ in range(100):
            if second.outlet.have_consumers():
                break
            await asyncio.sleep(0.1)
        second.send(sent[4500:], 4500)
        await asyncio.sleep(1.0)

    missing = round(pause_s * RATE_HZ)
    heard = listen(LslStreams("again"), act, samples=SAMPLES + missing)
    assert heard.lost is None
    assert [(start.side, start.reason) for start in heard.segments] == [
        ("left", "reconnected"),
        ("right", "reconnected"),
    ]
    assert all(heard.valid[start.first_index].all() for start in heard.segments)
    assert all(abs(start.missing - missing) <= 1 for start in heard.segments)
    assert abs(int((~heard.valid[:, 0]).sum()) - missing) <= 1  # two estimates of one sender's clock
    np.testing.assert_array_equal(heard.emg_uv[heard.valid[:, 0]].reshape(-1, 32)[:4500], sent[:4500])


@pytest.mark.parametrize(
    ("source_id", "says"), [("amp 8", "'ends' has sent nothing for 1 s"), ("", "'ends' has ended")]
)
def test_a_program_that_ends_is_lost_at_once_or_when_it_has_not_come_back(amplifier, source_id, says):
    band, sent = amplifier("ends", source_id=source_id), noise(4500, 32)

    async def act():
        band.send(sent)
        await asyncio.sleep(0.2)
        band.close()

    heard = listen(LslStreams("ends"), act, silence_s=1.0)
    assert says in heard.lost
    np.testing.assert_array_equal(heard.emg_uv.reshape(-1, 32), sent)  # all that had arrived comes first


def test_stamps_of_another_clock_are_refused(amplifier):
    foreign, sent = amplifier("foreign"), noise(SAMPLES, 32)

    async def act():
        foreign.send(sent, stamps=1.7e9 + np.arange(SAMPLES) / RATE_HZ)  # Unix time

    with pytest.raises(BandRefused, match=r"stamps its samples [0-9]+ s off LSL's clock"):
        listen(LslStreams("foreign"), act)


def test_a_stream_that_does_not_say_its_unit_is_refused(amplifier):
    amplifier("mute", unit=None)
    with pytest.raises(BandRefused, match="does not say its unit"):
        listen(LslStreams("mute"), asyncio.Event().wait)


def test_missing_and_ambiguous_streams_are_named(amplifier):
    amplifier("twin")
    amplifier("twin")
    with pytest.raises(BandNotFound, match="2 LSL streams named 'twin' are on the network"):
        listen(LslStreams("twin"), asyncio.Event().wait)
    with pytest.raises(
        BandNotFound, match=r"no LSL stream named 'none' .* 'twin' \(EMG, 32 channels, 2000 Hz\)"
    ):
        listen(LslStreams("none"), asyncio.Event().wait)
    with pytest.raises(BandNotFound, match="2 LSL streams of type EMG"):
        listen(LslStreams(), asyncio.Event().wait)


@pytest.mark.parametrize(
    ("streams", "sides", "says"),
    [
        (LslStreams("a", left="b"), ("left",), "not all of them"),
        (LslStreams(left="b"), ("left", "right"), "for the right band too"),
        (LslStreams(left="a", right="b"), ("left",), "set --sides"),
    ],
)
def test_names_that_do_not_fit_the_bands_are_refused(streams, sides, says):
    with pytest.raises(BadInput, match=says):
        listen(streams, asyncio.Event().wait, sides=sides)
