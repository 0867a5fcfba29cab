"""The packet: a 12-byte header and up to 255 samples of 16 electrodes, each packet decodable alone.

The layout is specified in docs/formats/packet.md. Samples are counts of the codec's step; the range is the
same for all codecs, +-6.5536 mV, the electrode amplifier's.
"""

from __future__ import annotations

import enum
import struct
from binascii import crc_hqx
from typing import Final, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from edge.errors import BadInput
from edge.samples import ELECTRODES, Float32
from firmware_bridge import rice
from firmware_bridge.errors import BadPacket
from firmware_bridge.rice import COUNT_BITS

PROTOCOL_VERSION: Final = 1
HEADER: Final = struct.Struct("<BBHIBBH")  # version|codec, flags, sequence, first index, samples, boot, CRC
HEADER_BYTES: Final = HEADER.size  # 12
_CRC_AT: Final = HEADER_BYTES - 2
_CRC_SEED: Final = 0xFFFF  # CRC-16/IBM-3740: polynomial 0x1021, most significant bit first

MAX_VALUE_BYTES: Final = 512  # the longest attribute value, Bluetooth Core 5.4, Vol 3, Part F, 3.2.9
NOTIFICATION_OVERHEAD_BYTES: Final = 3  # ATT opcode and handle: an MTU of 517 carries 512
_RANGE_UV: Final = 2 * 6553.6  # 2**16 * 0.2 = 2**12 * 3.2 microvolts

Counts = npt.NDArray[np.int16]


class Codec(enum.Enum):
    """How samples are written; the value is the codec's number on the wire."""

    RAW16 = 0
    PACK12 = 1
    RICE12 = 2  # the counts of PACK12, without loss in fewer bytes

    @property
    def bits(self) -> int:
        """Bits of a count."""
        match self:
            case Codec.RAW16:
                return 16
            case Codec.PACK12 | Codec.RICE12:
                return COUNT_BITS
            case _:
                assert_never(self)

    @property
    def gain_uv_per_lsb(self) -> float:
        """Microvolts a count: 0.2 for 16 bits, 3.2 for 12 (rms error 0.9 uV, below the electrode's 2.5)."""
        return _RANGE_UV / float(1 << self.bits)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of all electrodes, 32 or 24; with RICE12 at most, as it gives way to PACK12."""
        return ELECTRODES * self.bits // 8


class Flags(enum.IntFlag):
    """Header flags; bits that are not named are reserved, sent as 0."""

    NONE = 0
    END = 1  # nothing follows: first_index is the number of samples taken. Only bands that replay send it
    OVERFLOW = 2  # the band has dropped packets since the last one that it sent


class Packet(NamedTuple):
    """One packet, decoded."""

    codec: Codec
    flags: Flags
    sequence: int  # u16, one a packet, from 0 at the band's boot
    first_index: int  # u32, index of the first sample since boot: the band's clock in samples
    boot: int  # u8, changes when the band restarts
    counts: Counts  # (T, E)


def quantize(emg_uv: Float32, codec: Codec) -> Counts:
    """Microvolts to counts, by rounding; what is out of range saturates. Raises BadInput for NaN."""
    if not np.isfinite(emg_uv).all():
        raise BadInput("a sample to be sent is not a finite number; mark it missing instead")
    top = 1 << (codec.bits - 1)
    counts: Counts = np.clip(np.rint(emg_uv / codec.gain_uv_per_lsb), -top, top - 1).astype(np.int16)
    return counts


def dequantize(counts: Counts, codec: Codec) -> Float32:
    """Counts to microvolts."""
    return counts.astype(np.float32) * np.float32(codec.gain_uv_per_lsb)


def notification_bytes(mtu: int) -> int:
    """The longest packet that a notification carries at this MTU."""
    return min(mtu - NOTIFICATION_OVERHEAD_BYTES, MAX_VALUE_BYTES)


def samples_per_packet(codec: Codec, mtu: int) -> int:
    """How many samples fit a notification at this MTU, with RICE12 at least; 0 if not one does."""
    return max(0, (notification_bytes(mtu) - HEADER_BYTES) // codec.sample_bytes)


def minimum_mtu(codec: Codec) -> int:
    """The smallest MTU that carries a sample: 47 for raw16, 39 for the others."""
    return HEADER_BYTES + codec.sample_bytes + NOTIFICATION_OVERHEAD_BYTES


def encode(packet: Packet) -> bytes:
    """The bytes of a packet; sequence and index wrap to their widths."""
    payload = _pack(packet.counts, packet.codec)
    head = HEADER.pack(
        PROTOCOL_VERSION << 4 | packet.codec.value,
        packet.flags,
        packet.sequence & 0xFFFF,
        packet.first_index & 0xFFFFFFFF,
        len(packet.counts),
        packet.boot,
        0,
    )[:_CRC_AT]
    return head + _crc(head, payload).to_bytes(2, "little") + payload


def decode(data: bytes) -> Packet:
    """The packet in `data`. Raises BadPacket for another version or codec, a wrong CRC, length or count."""
    if len(data) < HEADER_BYTES:
        raise BadPacket(
            f"a packet of {len(data)} bytes is shorter than its header of {HEADER_BYTES}", "length"
        )
    version_codec, flags, sequence, first_index, samples, boot, crc = HEADER.unpack_from(data)
    version = version_codec >> 4
    if version != PROTOCOL_VERSION:
        raise BadPacket(
            f"a packet of protocol {version}; this version of qwrist speaks {PROTOCOL_VERSION}", "version"
        )
    payload = data[HEADER_BYTES:]
    if crc != _crc(data[:_CRC_AT], payload):
        raise BadPacket("a packet's CRC is wrong: it was damaged on the way", "CRC")
    try:
        codec = Codec(version_codec & 0xF)
    except ValueError:
        raise BadPacket(f"a packet of unknown codec {version_codec & 0xF}", "codec") from None
    if codec is not Codec.RICE12 and len(payload) != samples * codec.sample_bytes:
        raise BadPacket(
            f"a packet says {samples} samples, {samples * codec.sample_bytes} bytes, "
            f"and holds {len(payload)}",
            "length",
        )
    if (samples == 0) != bool(flags & Flags.END):
        raise BadPacket(
            f"a packet of {samples} samples with flags {flags:#04x}; only the end has none", "count"
        )
    return Packet(codec, Flags(flags), sequence, first_index, boot, _unpack(payload, codec, samples))


def _crc(head: bytes, payload: bytes) -> int:
    return crc_hqx(payload, crc_hqx(head, _CRC_SEED))


def _pack(counts: Counts, codec: Codec) -> bytes:
    match codec:
        case Codec.RAW16:
            return counts.astype("<i2").tobytes()
        case Codec.PACK12:
            pairs = (counts.astype(np.uint32) & 0xFFF).reshape(-1, 2)  # (T*E/2, 2)
            words = (pairs[:, 0] | pairs[:, 1] << 12).astype("<u4")
            return words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        case Codec.RICE12:
            return rice.encode(counts) if len(counts) else b""
        case _:
            assert_never(codec)


def _unpack(payload: bytes, codec: Codec, samples: int) -> Counts:
    match codec:
        case Codec.RAW16:
            return np.frombuffer(payload, "<i2").astype(np.int16).reshape(-1, ELECTRODES)
        case Codec.PACK12:
            words = np.zeros((len(payload) // 3, 4), np.uint8)
            words[:, :3] = np.frombuffer(payload, np.uint8).reshape(-1, 3)
            pairs = words.view("<u4").astype(np.uint32)  # (T*E/2, 1)
            twelve = np.concatenate([pairs << 4, pairs >> 8], axis=1).astype(np.uint16)  # sign bit on top
            return twelve.view(np.int16).reshape(-1, ELECTRODES) >> 4
        case Codec.RICE12 if samples:
            return rice.decode(payload, samples)
        case Codec.RICE12:
            if payload:
                raise BadPacket(f"a packet without samples holds {len(payload)} bytes of them")
            return np.zeros((0, ELECTRODES), np.int16)
        case _:
            assert_never(codec)
