"""How much of the air two bands' streams take: a model of the link layer, not a measurement of a radio.

A notification is cut into link-layer packets; each waits for a packet of the central and is followed by the
next. Bluetooth Core 5.4, Vol 6, Part B, 2.1 (packets) and 4.1 (spaces between them). docs/formats/packet.md
has the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edge.errors import BadInput
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32
from firmware_bridge.packet import HEADER_BYTES, Codec, encode, notification_bytes
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples

_SPACE_US: Final = 150.0  # T_IFS, before each packet of either side
_FRAME_BYTES: Final = 4 + 2 + 3  # access address, header, CRC
_INTEGRITY_BYTES: Final = 4  # of an encrypted packet that is not empty
_DATA_BYTES: Final = 251  # in a link-layer packet at most, with data length extension
_ABOVE_BYTES: Final = 4 + 3  # L2CAP's header, ATT's opcode and handle
TAG_BYTES: Final = 4  # room for an authentication tag of ours, which protocol 1 does not send


class Phy(NamedTuple):
    """How a radio sends a byte."""

    preamble_bytes: int
    byte_us: float


PHY_1M: Final = Phy(1, 8.0)
PHY_2M: Final = Phy(2, 4.0)


@dataclass(frozen=True)
class Air:
    """A connection between a band and its central, without anything else on the air."""

    phy: Phy = PHY_2M
    interval_ms: float = 15.0  # what a band asks for, and the shortest that iOS grants
    encrypted: bool = True
    repeated: float = 0.0  # the part of all packets that is damaged and sent again

    def notification_us(self, value_bytes: int) -> float:
        """Air that a notification takes, the central's packets and the spaces included."""
        left, total_us = value_bytes + _ABOVE_BYTES, 0.0
        while left > 0:
            total_us += self._exchange_us(min(left, _DATA_BYTES))
            left -= _DATA_BYTES
        return total_us / (1 - self.repeated)

    def share(self, values_bytes: Sequence[int], duration_s: float) -> float:
        """The part of the time that notifications take; an event without one costs an empty exchange."""
        idle = max(0.0, duration_s * 1e3 / self.interval_ms - len(values_bytes))
        used_us = sum(map(self.notification_us, values_bytes)) + idle * self._exchange_us(0)
        return used_us / (duration_s * 1e6)

    def _exchange_us(self, data_bytes: int) -> float:
        """The central's empty packet, the band's, and a space before each."""
        integrity = _INTEGRITY_BYTES if data_bytes and self.encrypted else 0
        return 2 * _SPACE_US + self._packet_us(0) + self._packet_us(data_bytes + integrity)

    def _packet_us(self, data_bytes: int) -> float:
        return (self.phy.preamble_bytes + _FRAME_BYTES + data_bytes) * self.phy.byte_us


class Usage(NamedTuple):
    """What one band sends of a signal, and what it takes of the air."""

    samples_per_packet: float
    bits_per_sample: float  # of payload, an electrode
    bytes_per_s: float  # of notifications, the tag excluded
    packets_per_s: float
    share: float

    @property
    def both(self) -> float:
        """The part of the air that two such bands take."""
        return WRISTS * self.share


def measure(emg_uv: Float32, codec: Codec, mtu: int, air: Air = Air()) -> Usage:
    """Pack (T, E) microvolts as a band does that leaves room for a tag, and see what the packets take.

    Raises BadInput where they fill no packet.
    """
    room = notification_bytes(mtu) - TAG_BYTES
    packetizer = Packetizer(codec, packet_samples(codec, mtu - TAG_BYTES), value_bytes=room)
    _, packets = packetizer.step(PacketizerState(), emg_uv, np.ones(len(emg_uv), np.bool_))
    return _usage(
        [len(packet.counts) for packet in packets], [len(encode(packet)) for packet in packets], air
    )


def predict(bits_per_sample: float, mtu: int, air: Air = Air()) -> Usage:
    """The same where each count takes `bits_per_sample` in RICE12, the fixed beginnings of a packet included.

    Raises BadInput where no sample fits.
    """
    room = notification_bytes(mtu) - TAG_BYTES - HEADER_BYTES
    bytes_per_sample = bits_per_sample * ELECTRODES / 8
    samples = min(packet_samples(Codec.RICE12, mtu), int(room / bytes_per_sample))
    return _usage([samples], [HEADER_BYTES + round(samples * bytes_per_sample)], air)


def _usage(samples: Sequence[int], packet_bytes: Sequence[int], air: Air) -> Usage:
    if not any(samples):
        raise BadInput("no packet is filled; take more samples, or an MTU of 51 at least, which carries one")
    duration_s = sum(samples) / RATE_HZ
    payload_bytes = sum(packet_bytes) - HEADER_BYTES * len(packet_bytes)
    return Usage(
        samples_per_packet=sum(samples) / len(samples),
        bits_per_sample=8 * payload_bytes / (ELECTRODES * sum(samples)),
        bytes_per_s=sum(packet_bytes) / duration_s,
        packets_per_s=len(samples) / duration_s,
        share=air.share([length + TAG_BYTES for length in packet_bytes], duration_s),
    )
