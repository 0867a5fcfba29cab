"""Each source opened as the verbs open it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from edge.errors import BadInput
from edge.samples import RATE_HZ, SIDES
from edge.session import write_session
from firmware_bridge.errors import BluetoothUnavailable
from firmware_bridge.packet import Codec
from qwrist.bands import Script, UpTo, open_bands, parse
from tests.edge.making import make_session
from tests.firmware_bridge.lsl.loopback import Amplifier, network


def take(text, seconds=1.0, sides=SIDES, act=lambda: None):
    """What a source gives in `seconds` of samples, and what the bands were then."""

    async def run():
        async with open_bands(parse(text), sides, Script(0, seconds, ["hello"])) as bands:
            act()
            async with aclosing(UpTo(bands.source, seconds).chunks()) as chunks:
                taken = [chunk async for chunk in chunks]
            return bands, taken, bands.pair.stats() if bands.pair else ()

    bands, chunks, links = asyncio.run(asyncio.wait_for(run(), 60))
    return bands, np.concatenate([chunk.valid for chunk in chunks]), links


def test_a_file_at_a_speed(tmp_path):
    write_session(tmp_path / "a,b.hdf5", make_session(RATE_HZ))
    bands, valid, _ = take(f"file:{tmp_path / 'a,b.hdf5'},speed=50")
    assert bands.source.speed == 50
    assert bands.simulated
    assert bands.keys is not None
    assert valid.shape == (RATE_HZ, 2)


def test_virtual_bands_with_a_script_an_mtu_and_a_codec(tmp_path):
    (tmp_path / "lossy.yaml").write_text(
        "name: lossy\nevents:\n- {what: loss, at_s: 0.2, for_s: 5, percent: 30}\n", encoding="utf-8"
    )
    bands, valid, links = take(f"sim:script={tmp_path / 'lossy.yaml'},mtu=185,codec=pack12", 2.0)
    assert [(link.mtu, link.codec) for link in links] == [(185, Codec.PACK12)] * 2
    assert 0.1 < 1 - valid.mean() < 0.5
    assert bands.simulated


def test_streams_of_the_lab_network(monkeypatch):
    monkeypatch.setattr("firmware_bridge.lsl.inlet._LOOK_S", 0.3)
    network()
    amplifier = Amplifier("bench amp", 16)
    sent = np.ones((3 * RATE_HZ, 16), np.float32)
    bands, valid, _ = take("lsl:left=bench amp", 2.0, ("left",), lambda: amplifier.send(sent))
    assert (bands.source.info.name, bands.keys, bands.simulated) == ("bench amp", None, False)
    assert valid[:, 0].all()
    assert not valid[:, 1].any()
    amplifier.close()


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("ble:hci=nothing:1", BadInput, "names no Bluetooth controller"),
        ("ble:hci=tcp-client:127.0.0.1:9", BluetoothUnavailable, "cannot be opened"),
        ("file:no-such.hdf5", BadInput, "no-such.hdf5"),
    ],
)
def test_what_cannot_be_opened_is_named(text, error, says):
    with pytest.raises(error, match=says):
        take(text)
