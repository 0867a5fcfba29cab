"""Two bands by way of BlueZ: samples as they were taken, whichever way values travel."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus
from dbus_fast.aio import MessageBus

from firmware_bridge.backends import Backend
from firmware_bridge.band_script import DropEvent, Script
from firmware_bridge.connect import connect
from firmware_bridge.errors import BluetoothUnavailable
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import scan
from tests.firmware_bridge.bluez.bus import private_bus
from tests.firmware_bridge.bluez.service import BluezService, Refusal
from tests.firmware_bridge.rigging import read
from tests.firmware_bridge.sources import ArraySource, noise_uv

SAMPLES = 6000
PRIMES = np.array([1.0, 4099.0, 4099.0**2, 4099.0**3])  # four counts as one number
_BUSY = 1 << 20  # more than any limit: the virtual bands wait for a client that has something to read


class AcquiringClient(BleakClientBlueZDBus):
    """Asks for values by socket."""

    async def start_notify(self, characteristic, callback, **kwargs):
        await super().start_notify(
            characteristic, callback, **kwargs | {"bluez": {"use_start_notify": False}}
        )


@pytest.fixture(autouse=True)
def bus_address(monkeypatch):
    with private_bus() as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


@asynccontextmanager
async def bluez(rig, address, client=BleakClientBlueZDBus, **options):
    """BlueZ with `rig`'s central for an adapter, and the backend of bleak's that talks to it."""
    bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
    service = BluezService(bus, rig.backend.client.device, refuse=options.pop("refuse", None))
    await service.start(**options)
    rig.backend.backlogs.append(lambda: _BUSY if service.in_flight() else 0)
    try:
        yield Backend(BleakScannerBlueZDBus, client, rig.backend.backlogs)
    finally:
        bus.disconnect()


@pytest.mark.parametrize("client", [BleakClientBlueZDBus, AcquiringClient])
@pytest.mark.parametrize("codec", Codec)
def test_every_sample_of_both_bands_arrives_as_it_was_taken(bus_address, client, codec):
    emg_uv = codec.gain_uv_per_lsb * np.rint(noise_uv(SAMPLES) / codec.gain_uv_per_lsb)

    async def run():
        async with (
            virtual_bands(ArraySource(emg_uv.astype(np.float32))) as rig,
            bluez(rig, bus_address, client) as backend,
            connect(backend=backend, clock=rig.clock, codec=codec) as bands,
        ):
            return await read(rig, bands)

    recorded = asyncio.run(run())
    for wrist, stats in enumerate(recorded.stats):
        assert (stats.received_samples, stats.missing_samples) == (SAMPLES, 0)
        assert (stats.lost, stats.duplicates, stats.refused, stats.queue_overflows) == (0, 0, 0, 0)
        assert stats.mtu == 517
        taken = recorded.emg_uv[recorded.valid[:, wrist], wrist]
        np.testing.assert_allclose(taken, emg_uv[:, wrist], rtol=0, atol=1e-3)


def test_a_band_that_dropped_is_back_without_a_duplicate(bus_address):
    emg_uv = noise_uv(4 * SAMPLES)
    script = Script(events=[DropEvent(at_s=2.0, side="left", away_s=1.0)])

    async def run():
        async with (
            virtual_bands(ArraySource(emg_uv), script=script) as rig,
            bluez(rig, bus_address) as backend,
            connect(backend=backend, clock=rig.clock, codec=Codec.PACK12) as bands,
        ):
            return await read(rig, bands)

    recorded = asyncio.run(run())
    left, right = recorded.stats
    assert (left.reconnects, right.reconnects) == (1, 0)
    assert left.duplicates == right.duplicates == right.missing_samples == 0
    assert 2000 <= left.missing_samples < 2400
    counts = np.rint(emg_uv / Codec.PACK12.gain_uv_per_lsb)
    for wrist, stats in enumerate(recorded.stats):
        assert stats.received_samples + stats.missing_samples == 4 * SAMPLES
        taken = np.rint(recorded.emg_uv[recorded.valid[:, wrist], wrist] / Codec.PACK12.gain_uv_per_lsb)
        again = (np.diff(taken, axis=0) == 0).all(axis=1)  # what the aligner repeated
        once = taken[np.concatenate([[True], ~again])]
        sent = np.flatnonzero(np.isin(counts[:, wrist, :4] @ PRIMES, once[:, :4] @ PRIMES))
        np.testing.assert_array_equal(once, counts[sent, wrist])


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (
            Refusal("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message"),
            r"sudo usermod -aG bluetooth",
        ),
        (Refusal("org.bluez.Error.NotReady", "Resource Not Ready"), r"bluetoothctl power on"),
    ],
)
def test_a_refusal_of_the_system_names_what_to_do(bus_address, refusal, advice):
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(10))) as rig,
            bluez(rig, bus_address, refuse=refusal) as backend,
        ):
            await scan(1.0, backend)

    with pytest.raises(BluetoothUnavailable, match=advice):
        asyncio.run(run())


def test_an_adapter_that_is_off_names_what_to_do(bus_address):
    async def run():
        async with (
            virtual_bands(ArraySource(noise_uv(10))) as rig,
            bluez(rig, bus_address, powered=False) as backend,
        ):
            await scan(1.0, backend)

    with pytest.raises(BluetoothUnavailable, match="bluetoothctl power on"):
        asyncio.run(run())
