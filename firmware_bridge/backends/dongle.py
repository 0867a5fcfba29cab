"""A Bluetooth controller of one's own, past the operating system: a USB or serial dongle, or HCI over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bumble.core import BaseBumbleError
from bumble.device import Device
from bumble.hci import Address, HCI_Error
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig
from bumble.transport import open_transport
from bumble.transport.common import Transport, TransportSpecError

from edge.errors import BadInput, QwristError
from firmware_bridge.backends import Backend
from firmware_bridge.backends.bumble import bumble_backend
from firmware_bridge.errors import BluetoothUnavailable

_ANSWER_S: Final = 5.0  # a controller answers a reset in milliseconds, a serial one at 115200 baud in tens
_NAMES: Final = "usb:0 (the first), usb:VENDOR:PRODUCT, serial:/dev/ttyACM0 or tcp-client:HOST:PORT"
_UDEV_RULE: Final = 'SUBSYSTEM=="usb", ATTR{bDeviceClass}=="e0", TAG+="uaccess"'  # e0: wireless controllers
_MAY_NOT_USB: Final = (
    f"your user may not open it; put the line {_UDEV_RULE} into /etc/udev/rules.d/70-qwrist.rules, run "
    "sudo udevadm control --reload, and plug the dongle in again"
)
_MAY_NOT_SERIAL: Final = "your user may not open it; sudo usermod -aG dialout $USER, then log in again"
_PLUG_IN: Final = "plug the dongle in and look for its name: lsusb, or ls /dev/ttyACM* /dev/ttyUSB*"
_BUSY: Final = (
    "another program holds it, perhaps the operating system's Bluetooth; sudo systemctl stop bluetooth, "
    "or use a second dongle"
)
_NO_LIBUSB: Final = "libusb is not to be loaded; sudo apt install libusb-1.0-0 (macOS: brew install libusb)"
_NOBODY_LISTENS: Final = "nothing listens there; start it first: qwrist simulate-band --listen HOST:PORT"
_BACK: Final = "plug it in again, or start again what listens there, and connect again"
_MUTE: Final = (
    f"a controller answers a reset within {_ANSWER_S:g} s; it must run HCI firmware (Zephyr's hci_usb or "
    "hci_uart), a serial one at the baud rate of its name: serial:/dev/ttyACM0,1000000"
)


@asynccontextmanager
async def open_bumble(transport: str) -> AsyncIterator[Backend]:
    """Bluetooth through the controller that bumble calls `transport`, until the context ends.

    Pairing lasts as long as the context: the next one is another computer to a band.
    Raises BadInput for a name that is none, BluetoothUnavailable with what to do about it.
    """
    async with open_hci(transport) as hci:
        central = Device.with_hci("qwrist", Address.generate_static_address(), hci.source, hci.sink)
        central.keystore = MemoryKeyStore()
        central.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=False, bonding=True)
        await reset(transport, central)

        def gone() -> str | None:
            return f"the controller {transport} is gone; {_BACK}" if hci.source.terminated.done() else None

        try:
            yield bumble_backend(central, gone)
        finally:
            if gone() is None:
                await _shut_down(central)


@asynccontextmanager
async def open_hci(transport: str) -> AsyncIterator[Transport]:
    """The controller itself. Raises BadInput, BluetoothUnavailable."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            opened = await open_transport(transport)
    except Exception as error:  # each kind of transport has errors of its own
        raise _named(transport, error) from error
    try:
        yield opened
    finally:
        await opened.close()


async def reset(transport: str, device: Device) -> None:
    """Power a device on. Raises BluetoothUnavailable where its controller is mute or no controller."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            await device.power_on()
    except (TimeoutError, BaseBumbleError, HCI_Error) as error:
        raise BluetoothUnavailable(f"{transport} does not answer: {_MUTE}") from error


def _named(transport: str, error: Exception) -> QwristError:
    if isinstance(error, TransportSpecError | AssertionError) or type(error) is ValueError:
        return BadInput(f"{transport!r} names no Bluetooth controller; use {_NAMES}")
    return BluetoothUnavailable(f"{transport} cannot be opened ({error}); {_advice(error)}")


def _advice(error: Exception) -> str:
    """What to do; libusb's and pyserial's errors are known by name and number, for neither may be there."""
    number = getattr(error, "errno", None)
    match type(error).__name__:
        case "USBErrorAccess":
            return _MAY_NOT_USB
        case "USBErrorBusy":
            return _BUSY
        case "ImportError" | "ModuleNotFoundError":
            return _NO_LIBUSB
        case "ConnectionRefusedError" | "gaierror":
            return _NOBODY_LISTENS
        case _ if number == 13:  # EACCES
            return _MAY_NOT_SERIAL
        case _ if number == 16:  # EBUSY
            return _BUSY
        case _:
            return _PLUG_IN


async def _shut_down(central: Device) -> None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            await central.power_off()
    except (TimeoutError, BaseBumbleError, HCI_Error):
        pass  # it was unplugged: it is off
