"""Which bands are on the air."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from edge.samples import Side
from firmware_bridge.advice import advise
from firmware_bridge.backends import Backend
from firmware_bridge.errors import BandNotFound, BluetoothUnavailable
from firmware_bridge.gatt import BAND_SERVICE, parse_name
from firmware_bridge.packet import PROTOCOL_VERSION

_RIVAL_S: Final = 0.25  # bands advertise every 100 ms: so long is listened for another of the same side


class FoundBand(NamedTuple):
    """A band that advertises."""

    side: Side
    address: str  # a UUID on macOS
    name: str
    version: int
    rssi_dbm: int
    device: BLEDevice


async def scan(duration_s: float = 3.0, backend: Backend | None = None) -> list[FoundBand]:
    """All bands that are heard in `duration_s`, left first. Raises BluetoothUnavailable."""
    found = await _listen(duration_s, backend, until_sides=())
    return sorted(found, key=lambda band: (band.side, band.address))


async def find(
    sides: Sequence[Side], timeout_s: float = 10.0, backend: Backend | None = None
) -> list[FoundBand]:
    """One band for each side, in the order of `sides`; once all are heard, others are listened for briefly.

    Raises BandNotFound where one is missing or two answer for a side, BluetoothUnavailable.
    """
    found = await _listen(timeout_s, backend, until_sides=sides)
    return [only_one(side, [band for band in found if band.side == side], timeout_s) for side in sides]


async def find_again(band: FoundBand, timeout_s: float, backend: Backend | None = None) -> FoundBand:
    """The same band, as soon as it is heard. Raises BandNotFound, BluetoothUnavailable."""
    found = await _listen(timeout_s, backend, until_sides=(), until_address=band.address)
    again = next((heard for heard in found if heard.address == band.address), None)
    if again is None:
        raise BandNotFound(
            f"the {band.side} band ({band.address}) was not heard again in {timeout_s:g} s; bring it near"
        )
    return again


async def _listen(
    duration_s: float,
    backend: Backend | None,
    until_sides: Iterable[Side],
    until_address: str | None = None,
) -> list[FoundBand]:
    found: dict[str, FoundBand] = {}
    wanted = set(until_sides)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + duration_s
    try:
        scanner = BleakScanner(service_uuids=[BAND_SERVICE], backend=backend and backend.scanner)
        async with asyncio.timeout_at(until_s) as listening, scanner:
            async for device, data in scanner.advertisement_data():
                name = data.local_name or device.name
                if (band := parse_name(name)) is not None and name is not None:
                    found[device.address] = FoundBand(
                        band.side, device.address, name, band.version, data.rssi, device
                    )
                if until_address in found:
                    break
                if wanted and wanted <= {band.side for band in found.values()}:
                    wanted = set()
                    listening.reschedule(min(until_s, loop.time() + _RIVAL_S))
    except TimeoutError:
        pass  # the time to listen is over
    except (BleakError, OSError) as error:
        raise BluetoothUnavailable(f"Bluetooth cannot scan ({error}); {advise(error)}") from error
    return list(found.values())


def only_one(side: Side, bands: Sequence[FoundBand], timeout_s: float) -> FoundBand:
    """The band of `side` among `bands`. Raises BandNotFound where it is missing, not alone, or too old."""
    if not bands:
        raise BandNotFound(
            f"no {side} band was heard in {timeout_s:g} s; switch it on, bring it near, and check "
            "that nothing else is connected to it"
        )
    if len(bands) > 1:
        addresses = " and ".join(band.address for band in bands)
        raise BandNotFound(f"{len(bands)} {side} bands are on the air ({addresses}); switch one off")
    if bands[0].version != PROTOCOL_VERSION:
        raise BandNotFound(
            f"the {side} band speaks protocol {bands[0].version}, this version of qwrist speaks "
            f"{PROTOCOL_VERSION}; update the older one"
        )
    return bands[0]
