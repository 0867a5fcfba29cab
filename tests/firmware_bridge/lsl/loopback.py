"""A lab network of this process alone, and amplifiers on it."""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest

from edge.samples import RATE_HZ

_CONFIG = f"""
[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
AddressesOverride = {{127.0.0.1}}
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = qwrist-test-{os.getpid()}
[tuning]
MulticastMinRTT = 0.05
UnicastMinRTT = 0.1
[log]
level = -3
"""


@functools.cache
def network():
    """pylsl, kept to this machine and this process."""
    pylsl = pytest.importorskip("pylsl", reason="the extra lsl is not installed")
    pylsl.set_config_content(_CONFIG)
    pylsl.resolve_streams(0.01)  # the first use, from which on it is in force
    return pylsl


class Amplifier:
    """A program that gives an amplifier's samples to the lab network."""

    def __init__(
        self,
        name,
        channels=32,
        *,
        content="EMG",
        rate_hz=RATE_HZ,
        form="float32",
        unit="microvolts",
        source_id="",
    ):
        pylsl = network()
        info = pylsl.StreamInfo(name, content, channels, rate_hz, form, source_id)
        if unit is not None:
            described = info.desc().append_child("channels")
            for _ in range(channels):
                described.append_child("channel").append_child_value("unit", unit)
        self.channels = channels
        self.outlet = pylsl.StreamOutlet(info, 32, 60)
        self.start_s = pylsl.local_clock()

    def send(self, values, first=0, *, stamps=None):
        """(T, C) values that were taken from sample `first` on."""
        time_s = self.start_s + (first + np.arange(len(values))) / RATE_HZ if stamps is None else stamps
        self.outlet.push_chunk(np.ascontiguousarray(values), list(time_s))

    def close(self):
        """The program ends, with it what has not been received yet."""
        self.outlet = None
