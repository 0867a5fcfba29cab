"""The thread that pulls: stamps by arrival, and what ends it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import numpy as np
import pytest

from edge.errors import SourceLost
from edge.samples import RATE_HZ
from firmware_bridge.lsl.inlet import Inlet, host_offset_s
from tests.firmware_bridge.lsl.loopback import network


class Pulls:
    """An inlet of pylsl that gives prepared chunks, then is lost."""

    def __init__(self, *lengths):
        self.lengths = list(lengths)
        self.given = 0

    def pull_chunk(self, timeout, samples, *, as_numpy):
        if not self.lengths:
            raise network().util.LostError
        length = self.lengths.pop(0)
        values = np.arange(self.given, self.given + length, dtype=np.int16)[:, None]
        self.given += length
        return values, np.full(length, -1.0)


def pulled(pulls, **settings):
    pylsl = network()
    info = pylsl.StreamInfo("amp", "EMG", 1, RATE_HZ, "int16", "")

    async def run():
        woken = asyncio.Event()
        inlet = Inlet(pulls, info, pylsl.local_clock, **settings)
        inlet.start(woken.set)
        while inlet.lost is None:
            await woken.wait()
            woken.clear()
        inlet.stop()
        return inlet

    return asyncio.run(run())


def test_by_arrival_the_last_sample_of_a_chunk_is_now_and_those_before_follow_from_the_rate(monkeypatch):
    pylsl = network()
    monkeypatch.setattr(pylsl, "local_clock", lambda: 50.0)
    inlet = pulled(Pulls(4, 0, 1), by_arrival=True)
    first, second = inlet.take()
    np.testing.assert_allclose(first.time_s, 50 - np.array([3, 2, 1, 0]) / RATE_HZ)
    np.testing.assert_array_equal(second.time_s, [50])
    np.testing.assert_array_equal(np.concatenate([first.values, second.values])[:, 0], np.arange(5))
    assert first.values.dtype == np.float32


def test_a_stream_that_cannot_be_recovered_is_lost():
    inlet = pulled(Pulls(), by_arrival=True)
    assert isinstance(inlet.lost, SourceLost)
    assert "'amp' has ended" in str(inlet.lost)


def test_an_inlet_that_never_started_stops():
    info = network().StreamInfo("amp", "EMG", 1, RATE_HZ, "int16", "")
    Inlet(Pulls(), info, network().local_clock, by_arrival=True).stop()


def test_two_clocks_are_read_between_two_readings_of_one():
    pylsl = network()
    assert abs(host_offset_s(lambda: pylsl.local_clock() + 7.0) - 7.0) < 1e-3


@pytest.mark.parametrize(("own", "told"), [("", False), ("[log]\nlevel = 0\n", True)])
def test_liblsl_tells_no_more_than_the_user_wants(tmp_path, own, told):
    pytest.importorskip("pylsl", reason="the extra lsl is not installed")
    settings = os.environ | {"HOME": str(tmp_path)}
    settings.pop("LSLAPICFG", None)
    if own:
        (tmp_path / "own.cfg").write_text(own)
        settings["LSLAPICFG"] = str(tmp_path / "own.cfg")
    use = "from firmware_bridge.lsl.inlet import load; load().StreamInfo('amp', 'EMG', 1, 1, 'int16', 'a')"
    python = [sys.executable, "-c", use]
    done = subprocess.run(python, cwd=tmp_path, env=settings, capture_output=True, text=True, check=True)
    assert ("INFO" in done.stderr) == told
