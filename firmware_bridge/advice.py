"""What to do when this machine's Bluetooth says no: one sentence for each system and cause."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

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
_BUSY: Final = (
    "another program searches, or one that was killed still does; close it, or: "
    "bluetoothctl power off; bluetoothctl power on"
)
_PAIR: Final = "--band ble:pair=yes"  # as qwrist.band_spec reads it
_UNPAIRED: Final[Mapping[str, str]] = {
    # Without an agent BlueZ refuses to pair, and reads of what is protected hang.
    "linux": f"pair it: {_PAIR}, while bluetoothctl --agent NoInputNoOutput runs in another terminal",
    "darwin": "accept the request to pair that macOS shows",
    "win32": f"pair it: {_PAIR}, or under Settings > Bluetooth & devices",
}
_AGAIN: Final = "connect to it again"

# Last parts of D-Bus error names, of the bus and of BlueZ.
_REFUSALS: Final = frozenset({"AccessDenied", "NotAuthorized", "NotPermitted"})
_KEYLESS: Final = frozenset(
    {"AuthenticationFailed", "AuthenticationRejected", "AuthenticationCanceled", "AuthenticationTimeout"}
)
_WINDOWS_REFUSALS: Final = ("Access Denied", "Could not pair")  # in the WinRT backend's texts
_PROTECTED: Final = frozenset(
    {
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
    }
)


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
        case BleakDBusError() if _name(error) in _REFUSALS:
            return _DENIED["linux"]
        case BleakDBusError() if _name(error) == "NotReady":  # what BlueZ calls an adapter that is off
            return _POWERED_OFF["linux"]
        case BleakDBusError() if _name(error) == "InProgress":
            return _BUSY
        case PermissionError():  # the bus's socket on Linux, E_ACCESSDENIED on Windows
            return _DENIED.get(platform, _NO_RADIO)
        case _:
            return _PLATFORMS.get(platform, _NO_RADIO)


def advise_linked(error: Exception, platform: str = sys.platform) -> str:
    """What the user can do about `error` of a band that was found."""
    match error:
        case BleakBluetoothNotAvailableError():
            return advise(error, platform)
        case BleakDBusError() if _name(error) in _KEYLESS:
            return _UNPAIRED["linux"]
        case BleakDBusError() if _name(error) in _REFUSALS:
            return _UNPAIRED["linux"]  # BlueZ's word for a characteristic that wants a paired host
        case BleakGATTProtocolError() if error.code in _PROTECTED:
            return _UNPAIRED.get(platform, _AGAIN)
        case _ if "Access Denied" in str(error) or "Could not pair" in str(
            error
        ):  # the WinRT backend's words
            return _UNPAIRED["win32"]
        case _:
            return _AGAIN


def _name(error: BleakDBusError) -> str:
    return error.dbus_error.rpartition(".")[2]
