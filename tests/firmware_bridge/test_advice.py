"""Each system's advice for each cause."""

from __future__ import annotations

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from firmware_bridge.advice import advise

REASON = BleakBluetoothNotAvailableReason


@pytest.mark.parametrize(
    ("error", "platform", "says"),
    [
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []), "linux", "apt install bluez"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", []), "linux", "usermod -aG bluetooth"),
        (FileNotFoundError("/run/dbus/system_bus_socket"), "linux", "apt install bluez"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "linux", "rfkill unblock"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "darwin", "Control Centre"),
        (BleakBluetoothNotAvailableError("", REASON.DENIED_BY_USER), "darwin", "Privacy & Security"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "win32", "Bluetooth & devices"),
        (BleakBluetoothNotAvailableError("", REASON.DENIED_BY_SYSTEM), "win32", "allow apps"),
        (BleakBluetoothNotAvailableError("", REASON.NO_BLUETOOTH), "win32", "plug in"),
        (BleakBluetoothNotAvailableError("", REASON.UNKNOWN), "darwin", "Privacy & Security"),
        (BleakError("?"), "freebsd14", "plug in"),
    ],
)
def test_advice(error, platform, says):
    assert says in advise(error, platform)


def test_a_machine_without_bluetooth_is_told_what_to_do(monkeypatch):
    import asyncio

    from firmware_bridge import scan
    from firmware_bridge.errors import BluetoothUnavailable

    class NoRadio:
        def __init__(self, **_):
            raise BleakBluetoothNotAvailableError("no adapter", REASON.NO_BLUETOOTH)

    monkeypatch.setattr(scan, "BleakScanner", NoRadio)
    with pytest.raises(BluetoothUnavailable, match=r"cannot scan .*plug in a Bluetooth adapter"):
        asyncio.run(scan.scan(0.1))
