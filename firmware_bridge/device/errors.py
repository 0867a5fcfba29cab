"""What can go wrong between a device that decodes and this machine, classed by what its developer can do."""

from __future__ import annotations

from edge.errors import QwristError, SourceLost


class DeviceNotFound(QwristError):
    """The device that was asked for is not on the air, or several answer."""


class DeviceLost(SourceLost):
    """A device was there and does not answer any more, however often it is asked."""


class DeviceRefused(QwristError):
    """A device answered, and cannot or will not do what was asked."""


class NotHeld(DeviceRefused):
    """A device does not hold the artifact that was asked for."""
