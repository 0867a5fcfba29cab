"""Controllers past the operating system: over TCP end to end; what cannot be opened says what to do."""

from __future__ import annotations

import asyncio

import pytest

from edge.errors import BadInput
from firmware_bridge.backends import dongle
from firmware_bridge.backends.dongle import open_bumble
from firmware_bridge.errors import BluetoothUnavailable


def refusal(transport):
    async def run():
        async with open_bumble(transport):
            pass

    with pytest.raises((BadInput, BluetoothUnavailable)) as refused:
        asyncio.run(run())
    return refused.value


@pytest.mark.parametrize("name", ["", "bluetooth", "usb", "tcp-client", "tcp-client:here", "nope:1"])
def test_a_name_that_is_none_is_refused_with_those_that_are(name):
    error = refusal(name)
    assert isinstance(error, BadInput)
    assert str(error).startswith(f"{name!r} names no Bluetooth controller; use usb:0")


def test_a_port_that_is_not_there_says_plug_in():
    error = refusal("serial:/dev/qwrist-has-no-such-port")
    assert isinstance(error, BluetoothUnavailable)
    assert "No such file" in str(error)
    assert "plug the dongle in" in str(error)


def test_a_server_that_is_not_there_says_start_it():
    async def run():
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    error = refusal(f"tcp-client:127.0.0.1:{asyncio.run(run())}")
    assert "start it first: qwrist simulate-band" in str(error)


class USBErrorAccess(Exception):
    """As libusb's binding calls it."""


class USBErrorBusy(Exception):
    """As libusb's binding calls it."""


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (USBErrorAccess("LIBUSB_ERROR_ACCESS [-3]"), "udev/rules.d/70-qwrist.rules"),
        (USBErrorBusy("LIBUSB_ERROR_BUSY [-6]"), "systemctl stop bluetooth"),
        (PermissionError(13, "Permission denied"), "usermod -aG dialout"),
        (OSError(16, "Device or resource busy"), "another program holds it"),
        (ImportError("usb1"), "apt install libusb"),
        (RuntimeError("device not found"), "plug the dongle in"),
    ],
)
def test_each_refusal_of_the_system_has_its_advice(monkeypatch, error, advice):
    async def refuse(_):
        raise error

    monkeypatch.setattr(dongle, "open_transport", refuse)
    refused = refusal("usb:0")
    assert isinstance(refused, BluetoothUnavailable)
    assert str(error) in str(refused)
    assert advice in str(refused)


class Mute(asyncio.Protocol):
    """Takes all, says nothing, and goes when it is left."""


def test_what_does_not_answer_a_reset_is_named(monkeypatch):
    monkeypatch.setattr(dongle, "_ANSWER_S", 0.1)

    async def run():
        server = await asyncio.get_running_loop().create_server(Mute, "127.0.0.1", 0)
        async with server, open_bumble(f"tcp-client:127.0.0.1:{server.sockets[0].getsockname()[1]}"):
            pass

    with pytest.raises(BluetoothUnavailable, match=r"does not answer: .* must run HCI firmware"):
        asyncio.run(run())
