"""What a band offers over GATT: services, the control point's operations, the status, the advertised name."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, assert_never

from edge.samples import SIDES, Side
from firmware_bridge.errors import BadPacket, BandRefused
from firmware_bridge.packet import PROTOCOL_VERSION, Codec

# Our own 128-bit family, drawn at random once; the second group counts.
BAND_SERVICE: Final = "7b1f0001-93a4-4c5e-8f0d-71a2c6e8d4b9"
STREAM: Final = "7b1f0002-93a4-4c5e-8f0d-71a2c6e8d4b9"  # notify: packets
CONTROL: Final = "7b1f0003-93a4-4c5e-8f0d-71a2c6e8d4b9"  # write with response: operations
STATUS: Final = "7b1f0004-93a4-4c5e-8f0d-71a2c6e8d4b9"  # read: Status

BATTERY_SERVICE: Final = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL: Final = "00002a19-0000-1000-8000-00805f9b34fb"  # read: u8 percent
DEVICE_INFORMATION_SERVICE: Final = "0000180a-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER: Final = "00002a24-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION: Final = "00002a26-0000-1000-8000-00805f9b34fb"
MANUFACTURER_NAME: Final = "00002a29-0000-1000-8000-00805f9b34fb"

# ATT application errors (0x80 to 0x9F) that a control write may be answered with
UNSUPPORTED: Final = 0x80  # an operation, codec or rate that this band does not have
NOT_NOW: Final = 0x81  # a known operation that this state does not allow

_LETTERS: Final = {"left": "L", "right": "R"}


class Start(NamedTuple):
    """Stream from now on: sequence and sample index begin at 0."""


class Stop(NamedTuple):
    """Stop streaming."""


class Config(NamedTuple):
    """How to stream; refused while streaming."""

    codec: Codec
    rate_hz: int


Operation = Start | Stop | Config


def encode_operation(operation: Operation) -> bytes:
    """What is written to CONTROL."""
    match operation:
        case Start():
            return b"\x01"
        case Stop():
            return b"\x02"
        case Config(codec, rate_hz):
            return struct.pack("<BBH", 3, codec.value, rate_hz)
        case _:
            assert_never(operation)


def decode_operation(data: bytes) -> Operation:
    """The operation that `data` asks for. Raises BadPacket where it is none."""
    match data[:1], len(data):
        case b"\x01", 1:
            return Start()
        case b"\x02", 1:
            return Stop()
        case b"\x03", 4:
            _, codec, rate_hz = struct.unpack("<BBH", data)
            if codec in {known.value for known in Codec}:
                return Config(Codec(codec), rate_hz)
    raise BadPacket(f"{data.hex(' ') or 'nothing'} is no control operation")


class Status(NamedTuple):
    """What a band says of itself."""

    version: int
    side: Side
    boot: int
    rate_hz: int
    mtu: int  # negotiated for this connection
    overflows: int  # packets that the band dropped because the radio was behind


_STATUS: Final = struct.Struct("<BBBxHHI")


def encode_status(status: Status) -> bytes:
    """The value of STATUS."""
    side = SIDES.index(status.side)
    return _STATUS.pack(status.version, side, status.boot, status.rate_hz, status.mtu, status.overflows)


def decode_status(data: bytes) -> Status:
    """Read STATUS; bytes that later versions append are skipped. Raises BandRefused for what is no status."""
    if len(data) < _STATUS.size or data[1] >= len(SIDES):
        raise BandRefused(f"a band's status reads {data.hex(' ') or 'nothing'}; update the band's firmware")
    version, side, boot, rate_hz, mtu, overflows = _STATUS.unpack_from(data)
    return Status(version, SIDES[side], boot, rate_hz, mtu, overflows)


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
