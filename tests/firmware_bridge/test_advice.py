"""Each system's advice for each cause, by the errors that bleak raises there."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

from firmware_bridge import scan
from firmware_bridge.advice import advise, advise_linked
from firmware_bridge.errors import BluetoothUnavailable
from qwrist.band_spec import Ble, parse

REASON = BleakBluetoothNotAvailableReason
CODE = BleakGATTProtocolErrorCode
BUS, BLUEZ = "org.freedesktop.DBus.Error", "org.bluez.Error"


@pytest.mark.parametrize(
    ("error", "platform", "says"),
    [
        (BleakDBusError(f"{BUS}.ServiceUnknown", []), "linux", "apt install bluez"),
        (BleakDBusError(f"{BUS}.AccessDenied", []), "linux", "usermod -aG bluetooth"),
        (BleakDBusError(f"{BLUEZ}.NotPermitted", []), "linux", "usermod -aG bluetooth"),
        (BleakDBusError(f"{BLUEZ}.NotReady", ["Resource Not Ready"]), "linux", "rfkill unblock"),
        (BleakDBusError(f"{BLUEZ}.InProgress", []), "linux", "another program searches"),
        (FileNotFoundError("/run/dbus/system_bus_socket"), "linux", "apt install bluez"),
        (ConnectionRefusedError("/run/dbus/system_bus_socket"), "linux", "apt install bluez"),
        (PermissionError(13, "Permission denied"), "linux", "usermod -aG bluetooth"),
        (BleakBluetoothNotAvailableError("", REASON.DENIED_BY_SYSTEM), "linux", "usermod -aG bluetooth"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "linux", "rfkill unblock"),
        (BleakBluetoothNotAvailableError("", REASON.NO_BLE_CENTRAL_ROLE), "linux", "plug in"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "darwin", "Control Centre"),
        (BleakBluetoothNotAvailableError("", REASON.DENIED_BY_USER), "darwin", "Privacy & Security"),
        (BleakBluetoothNotAvailableError("", REASON.DENIED_BY_SYSTEM), "darwin", "Privacy & Security"),
        (BleakBluetoothNotAvailableError("", REASON.UNKNOWN), "darwin", "Privacy & Security"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "win32", "Bluetooth & devices"),
        (BleakBluetoothNotAvailableError("", REASON.NO_BLUETOOTH), "win32", "plug in"),
        (BleakError("Failed to start scanner. Is Bluetooth turned on?"), "win32", "switch Bluetooth on"),
        (PermissionError(13, "Access is denied", None, 5), "win32", "allow apps"),
        (BleakError("?"), "freebsd14", "plug in"),
    ],
)
def test_a_machine_that_cannot_scan(error, platform, says):
    assert says in advise(error, platform)


@pytest.mark.parametrize(
    ("error", "platform", "says"),
    [
        (BleakDBusError(f"{BLUEZ}.AuthenticationFailed", []), "linux", "agent NoInputNoOutput"),
        (BleakDBusError(f"{BLUEZ}.NotPermitted", ["Read not permitted"]), "linux", "agent NoInputNoOutput"),
        (BleakGATTProtocolError(CODE.INSUFFICIENT_AUTHENTICATION), "darwin", "macOS shows"),
        (BleakGATTProtocolError(CODE.INSUFFICIENT_ENCRYPTION), "linux", "agent NoInputNoOutput"),
        (BleakError("Could not read characteristic: Access Denied"), "win32", "or under Settings"),
        (BleakError("Could not pair with device: AUTHENTICATION_FAILURE"), "win32", "or under Settings"),
        (BleakGATTProtocolError(CODE.UNLIKELY_ERROR), "linux", "connect to it again"),
        (BleakDBusError(f"{BLUEZ}.Failed", ["Not connected"]), "linux", "connect to it again"),
        (BleakError("disconnected"), "darwin", "connect to it again"),
        (BleakBluetoothNotAvailableError("", REASON.POWERED_OFF), "darwin", "Control Centre"),
    ],
)
def test_a_band_that_was_found_and_fails(error, platform, says):
    assert says in advise_linked(error, platform)


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_what_to_say_to_pair_is_what_band_takes(system):
    advice = advise_linked(BleakGATTProtocolError(CODE.INSUFFICIENT_ENCRYPTION), system)
    (text,) = re.findall(r"--band (\S+),", advice)
    assert parse(text) == Ble(pair=True)


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_every_cause_has_an_answer_on_every_system(system):
    for reason in REASON:
        assert len(advise(BleakBluetoothNotAvailableError("", reason), system)) > 20
    for code in CODE:
        assert advise_linked(BleakGATTProtocolError(code), system)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (BleakBluetoothNotAvailableError("no adapter", REASON.NO_BLUETOOTH), "plug in a Bluetooth adapter"),
        (PermissionError(13, "Permission denied"), advise(PermissionError(), sys.platform)),
    ],
)
def test_a_scan_that_fails_says_why_and_what_to_do(monkeypatch, error, says):
    class NoRadio:
        def __init__(self, **_):
            raise error

    monkeypatch.setattr(scan, "BleakScanner", NoRadio)
    with pytest.raises(BluetoothUnavailable) as refused:
        asyncio.run(scan.scan(0.1))
    assert str(error) in str(refused.value)
    assert says in str(refused.value)
