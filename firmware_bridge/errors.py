"""What can go wrong between a band and this machine, classed by what the wearer can do about it."""

from __future__ import annotations

from edge.errors import QwristError


class BadPacket(QwristError):
    """A notification is not a packet of this protocol, or was damaged on the way.

    `kind` says how in a word or two, so that many can be counted.
    """

    def __init__(self, text: str, kind: str = "malformed") -> None:
        super().__init__(text)
        self.kind = kind


class BandNotFound(QwristError):
    """A band that was asked for is not on the air, or more than one answers for a side."""


class BandRefused(QwristError):
    """A band answered, and cannot do what was asked: another protocol, rate or codec, too small an MTU."""


class BluetoothUnavailable(QwristError):
    """This machine's Bluetooth is off, absent or forbidden to us."""
