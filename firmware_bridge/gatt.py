"""What a band offers over GATT: services and characteristics, the status, the advertised name."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from edge.samples import SIDES, Side
from firmware_bridge.errors import BandRefused
from firmware_bridge.packet import PROTOCOL_VERSION

# Our own 128-bit family, drawn at random once; the second group counts.
BAND_SERVICE: Final = "7b1f0001-93a4-4c5e-8f0d-71a2c6e8d4b9"
STREAM: Final = "7b1f0002-93a4-4c5e-8f0d-71a2c6e8d4b9"  # notify: packets
CONTROL: Final = "7b1f0003-93a4-4c5e-8f0d-71a2c6e8d4b9"  # write, indicate: see control.py
STATUS: Final = "7b1f0004-93a4-4c5e-8f0d-71a2c6e8d4b9"  # read, notify: Status

BATTERY_SERVICE: Final = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL: Final = "00002a19-0000-1000-8000-00805f9b34fb"  # read: u8 percent
DEVICE_INFORMATION_SERVICE: Final = "0000180a-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER: Final = "00002a24-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION: Final = "00002a26-0000-1000-8000-00805f9b34fb"
MANUFACTURER_NAME: Final = "00002a29-0000-1000-8000-00805f9b34fb"

_LETTERS: Final = {"left": "L", "right": "R"}


class Status(NamedTuple):
    """What a band says of itself."""

    version: int
    side: Side
    boot: int  # changes when the band restarts
    phy: int  # of this connection: 1 for 1M, 2 for 2M, 3 for coded
    rate_hz: int
    mtu: int  # negotiated for this connection
    overflows: int  # packets that the band dropped since boot because the radio was behind
    interval: int  # of this connection, in 1.25 ms
    lead_off: int  # bit e: electrode e has no contact
    uptime_ms: int
    codec: int  # in use, see packet.Codec
    streaming: bool

    @property
    def interval_ms(self) -> float:
        """The connection interval."""
        return 1.25 * self.interval


_STATUS: Final = struct.Struct("<BBBBHHIHHIB?xx")


def encode_status(status: Status) -> bytes:
    """The value of STATUS, 24 bytes."""
    version, side, *rest = status
    return _STATUS.pack(version, SIDES.index(side), *rest)


def decode_status(data: bytes) -> Status:
    """Read STATUS; bytes that later versions append are skipped. Raises BandRefused for what is no status."""
    if len(data) < _STATUS.size or data[1] >= len(SIDES):
        raise BandRefused(f"a band's status reads {data.hex(' ') or 'nothing'}; update the band's firmware")
    version, side, *rest = _STATUS.unpack_from(data)
    return Status(version, SIDES[side], *rest)


class Advertised(NamedTuple):
    """What a band's name tells before it is connected to."""

    version: int
    side: Side


def advertised_name(side: Side, version: int = PROTOCOL_VERSION) -> str:
    """For example "Qwrist1L", the left band of protocol 1.

    With the flags and the service's UUID its 8 characters fill an advertisement exactly (3 + 18 + 10 = 31
    bytes), so that a band is known without a scan response.
    """
    return f"Qwrist{version}{_LETTERS[side]}"


def parse_name(name: str | None) -> Advertised | None:
    """Which band a name belongs to, or None where it is not one of ours."""
    if name is None or len(name) != 8 or not name.startswith("Qwrist") or not name[6].isdecimal():
        return None
    side = next((side for side in SIDES if _LETTERS[side] == name[7]), None)
    return None if side is None else Advertised(int(name[6]), side)
