"""What `--band` says: each source's settings, and a sentence for every slip."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from firmware_bridge.band_script import load
from firmware_bridge.lsl.description import Channels
from firmware_bridge.lsl.source import LslStreams
from firmware_bridge.packet import Codec
from qwrist.band_spec import Ble, File, Lsl, Sim, parse


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("ble:", Ble()),
        ("ble:hci=usb:0", Ble("usb:0")),
        (
            "ble:hci=serial:/dev/ttyACM0,1000000,codec=raw16,pair=yes",
            Ble("serial:/dev/ttyACM0,1000000", Codec.RAW16, True),
        ),
        ("ble:pair=no", Ble()),
        ("sim:", Sim()),
        ("sim:wearer=2,speed=1", Sim(2, speed=1.0)),
        (
            "sim:difficulty=hard,script=bad-day,mtu=185",
            Sim(difficulty="hard", script=load("bad-day"), mtu=185),
        ),
        ("sim:codec=pack12", Sim(codec=Codec.PACK12)),
        ("file:a.hdf5", File(Path("a.hdf5"))),
        ("file:C:\\a,b=c.hdf5,speed=4", File(Path("C:\\a,b=c.hdf5"), 4.0)),
        ("file:a.hdf5,speed=0.01", File(Path("a.hdf5"), 0.01)),
        ("lsl:", Lsl()),
        ("lsl:Muovi,channels=1-32", Lsl(LslStreams("Muovi", channels=Channels(0, 32)))),
        ("lsl:Quattro 1", Lsl(LslStreams("Quattro 1"))),
        ("lsl:amp, old,unit=uv", Lsl(LslStreams("amp, old", unit="uv"))),
        ("lsl:left=A,right=B,stamps=arrival", Lsl(LslStreams(None, "A", "B", stamps="arrival"))),
    ],
)
def test_settings(text, spec):
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no source of samples; use ble:, lsl:, sim: or file:PATH"),
        ("usb:0", "is no source of samples"),
        ("file:", "is no source of samples"),
        ("file:a,speed=0", "file: speed is '0'; expected 0.01 to 100"),
        ("file:a,speed=fast", "file: speed is 'fast'; expected a number"),
        ("ble:hci=", "ble: hci is ''; expected a name"),
        ("ble:codec=zip", "ble: codec is 'zip'; expected raw16, pack12 or rice12"),
        ("ble:pair=maybe", "ble: pair is 'maybe'; expected yes or no"),
        ("ble:usb:0", "ble: knows no 'usb:0'; it has hci, codec and pair"),
        ("sim:speed=1,speed=2", "sim: has speed twice"),
        ("sim:speed=nan", "sim: speed is 'nan'; expected 0.1 to 100"),
        ("sim:speed=inf", "sim: speed is 'inf'; expected 0.1 to 100"),
        ("sim:mtu=22", "sim: mtu is '22'; expected a number from 23 to 517"),
        ("sim:mtu=-5", "sim: mtu is '-5'; expected a number from 23"),
        ("sim:wearer=two", "sim: wearer is 'two'; expected a number from 0"),
        ("sim:wearer=-1", "sim: wearer is '-1'; expected a number from 0"),
        ("sim:wearer=1000", "simulated wearer 1000 is one of those the base was trained on"),
        ("sim:difficulty=easy", "sim: difficulty is 'easy'; expected medium, mid, hard or calibrated"),
        ("sim:script=NOPE", "NOPE cannot be read: No such file or directory; name a .yaml file, or one of"),
        ("sim:script=", "sim: script is ''; expected a name"),
        ("sim:colour=red", "sim: knows no 'colour'; it has wearer, difficulty, speed, script, mtu and codec"),
        ("lsl:A,left=B,both=C", "lsl: has both twice"),
        ("lsl:stamps=mine", "lsl: stamps is 'mine'; expected arrival or stream"),
        ("lsl:channels=0-31", "lsl: channels is '0-31'; expected the first and the last, such as 1-32"),
        ("lsl:channels=32-1", "lsl: channels is '32-1'; expected"),
        ("lsl:middle=A", "lsl: knows no 'middle'"),
    ],
)
def test_slips_are_named(text, says):
    with pytest.raises(BadInput) as refused:
        parse(text)
    assert says in str(refused.value)


@given(
    st.sampled_from(["ble:", "sim:", "lsl:", "file:", ""]),
    st.text(alphabet="abchilmprstw=,:1.- ", max_size=30),
)
def test_whatever_is_written_is_a_spec_or_a_sentence(kind, rest):
    with suppress(BadInput):
        assert isinstance(parse(kind + rest), Ble | Sim | File | Lsl)
