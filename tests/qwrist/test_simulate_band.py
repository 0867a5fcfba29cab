"""`qwrist simulate-band`: what it refuses, and its bands read by another process, byte for byte."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from edge.errors import BadInput
from edge.samples import SIDES
from firmware_bridge.backends.dongle import open_bumble
from firmware_bridge.packet import Codec, quantize
from firmware_bridge.virtual_clock import VirtualClock
from qwrist.verbs.simulate_band import simulate_band
from simulate.wearer import Wearer
from tests.firmware_bridge.host import stream

SECONDS = 2.0
ITSELF = (
    "import typer; from qwrist.verbs.simulate_band import simulate_band; "
    "app = typer.Typer(); app.command()(simulate_band); app()"
)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"listen": "9800"}, "expected HOST:PORT"),
        ({"listen": "127.0.0.1:99999"}, "expected HOST:PORT"),
        ({"seconds": 0.0}, "--seconds is 0; expected more than 0"),
        ({"seconds": float("nan")}, "--seconds is nan; expected more than 0"),
        ({"seconds": float("inf")}, "--seconds is inf; expected more than 0"),
        ({"wearer": "sim:wearer=-1"}, "expected a number from 0"),
        ({"wearer": "ble:"}, r"expected sim:wearer=N,difficulty=D or file:PATH"),
        ({"wearer": "sim:speed=2"}, "in real time"),
        ({"wearer": "sim:script=bad-day"}, "scripts by --script"),
        ({"script": "nowhere"}, "bad-day"),
        ({"hci": ["usb:0"]}, "2 bands and 1 dongles"),
    ],
)
def test_what_makes_no_bands_is_refused(options, says):
    defaults = {"wearer": "sim:", "sides": "left,right", "seconds": 0.1, "script": None, "hci": None}
    with pytest.raises(BadInput, match=says):
        simulate_band(**{**defaults, "listen": "127.0.0.1:0", **options})


class Elsewhere:
    """Bands of another process: a way in and a clock, which is all that `stream` asks of a rig."""

    def __init__(self, backend) -> None:
        self.backend = backend
        self.clock = VirtualClock(0.0, 1.0)


@pytest.mark.slow
def test_another_process_reads_the_wearer_byte_for_byte():
    command = [sys.executable, "-c", ITSELF, "--wearer", "sim:wearer=2", "--seconds", f"{SECONDS}"]
    bands = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    says = bands.stderr.readline()
    address = re.search(r"reach them with --band ble:hci=(\S+)", says)
    assert address, says

    async def read():
        async with open_bumble(address[1]) as backend:
            rig = Elsewhere(backend)
            return await asyncio.gather(*(stream(rig, side, Codec.PACK12) for side in SIDES))

    received = asyncio.run(read())
    out, _ = bands.communicate(timeout=60)
    performance = Wearer(2, "medium", SIDES).perform(0, duration_s=SECONDS)
    for wrist, (packets, _) in enumerate(received):
        before = packets[-1][1].first_index - len(performance.emg_uv)  # samples since it was switched on
        index = np.concatenate([p.first_index + np.arange(len(p.counts)) for _, p in packets]) - before
        assert (np.diff(index) >= 1).all()
        assert len(index) > len(performance.emg_uv) / 2
        expected = quantize(performance.emg_uv[:, wrist], Codec.PACK12)[index]
        assert np.concatenate([p.counts for _, p in packets]).tobytes() == expected.tobytes()
    counted = json.loads(out)
    assert [row["packets"] for row in counted] == [len(packets) for packets, _ in received]
    assert bands.returncode == 0
