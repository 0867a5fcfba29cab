"""What to do when this machine's Bluetooth says no: one sentence for each system and cause."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

_LINUX: Final = (
    "install and start BlueZ (sudo apt install bluez; sudo systemctl enable --now bluetooth), "
    "then: bluetoothctl power on"
)
_MACOS: Final = "allow your terminal under System Settings > Privacy & Security > Bluetooth, then restart it"
_WINDOWS: Final = "switch Bluetooth on under Settings > Bluetooth & devices, and allow apps to use radios"
_PLATFORMS: Final[Mapping[str, str]] = {"linux": _LINUX, "darwin": _MACOS, "win32": _WINDOWS}

_POWERED_OFF: Final[Mapping[str, str]] = {
    "linux": "switch it on: rfkill unblock bluetooth; bluetoothctl power on",
    "darwin": "switch Bluetooth on in the Control Centre",
    "win32": _WINDOWS,
}
_NO_RADIO: Final = "plug in a Bluetooth adapter of version 4.2 or later"
_DENIED: Final[Mapping[str, str]] = {
    "linux": "your user may not use Bluetooth; add it to its group: sudo usermod -aG bluetooth $USER",
    "darwin": _MACOS,
    "win32": _WINDOWS,
}


def advise(error: Exception, platform: str = sys.platform) -> str:
    """What the user can do about `error`, raised by bleak on `platform` (a value of sys.platform)."""
    reason = BleakBluetoothNotAvailableReason
    match error:
        case BleakBluetoothNotAvailableError(reason=reason.POWERED_OFF):
            return _POWERED_OFF.get(platform, _NO_RADIO)
        case BleakBluetoothNotAvailableError(reason=reason.NO_BLUETOOTH | reason.NO_BLE_CENTRAL_ROLE):
            return _NO_RADIO
        case BleakBluetoothNotAvailableError(
            reason=reason.DENIED_BY_USER | reason.DENIED_BY_SYSTEM | reason.DENIED_BY_UNKNOWN
        ):
            return _DENIED.get(platform, _NO_RADIO)
        case BleakDBusError() if "AccessDenied" in error.dbus_error:
            return _DENIED["linux"]
        case _:
            return _PLATFORMS.get(platform, _NO_RADIO)
