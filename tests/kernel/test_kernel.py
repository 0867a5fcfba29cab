"""Our link over a real kernel and bluetoothd: MTU, pairing, a protected stream, a drop, the bonded way back."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import numpy as np
import pytest
from bleak import BleakClient

from firmware_bridge.connect import connect
from firmware_bridge.gatt import STATUS
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from firmware_bridge.scan import find
from tests.firmware_bridge.rigging import read
from tests.firmware_bridge.sources import ArraySource, noise_uv
from tests.kernel.air import adapter
from tests.kernel.bus import ADAPTER, powered_adapter, property_of
from tests.kernel.guest import Guest, missing_packages, running

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1200)]

SPEED = 0.15  # 300 samples a second: an emulated kernel carries about 40 notifications a second for a band
SAMPLES = 1500  # 5 s of waiting


@pytest.fixture(scope="module")
def guest():
    if missing := missing_packages():
        pytest.fail(f"this needs Debian's packages {' '.join(missing)}; install them and run it again")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(port) as up:
        yield up
        print(up.log.read_text(errors="replace"))


@pytest.fixture(autouse=True)
def bus(guest: Guest, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", guest.bus_address)
    monkeypatch.setenv("BLEAK_DBUS_AUTH_UID", "0")


def wave_uv() -> np.ndarray:
    """What pack12 carries without rounding."""
    step = Codec.PACK12.gain_uv_per_lsb
    return (np.rint(noise_uv(SAMPLES) / step) * step).astype(np.float32)


@asynccontextmanager
async def bands_in_reach(guest: Guest, source, **options):
    """Virtual bands, and the guest's adapter, powered, on their air."""
    async with (
        virtual_bands(source, speed=SPEED, hold_s=60, **options) as rig,
        adapter(rig._air, guest.hci_socket),
        powered_adapter() as system,
    ):
        yield rig, system


def test_what_is_protected_is_read_once_paired_and_the_mtu_is_the_kernels(guest):
    async def run():
        async with bands_in_reach(guest, ArraySource(wave_uv()), sides=("left",), encrypted=True) as (
            rig,
            system,
        ):
            (band,) = await find(("left",), 60.0)
            async with BleakClient(band.device) as client:
                stream_bytes = client.services.get_characteristic(STATUS).max_write_without_response_size
                await client.pair()
                status = await client.read_gatt_char(STATUS)
                path = f"{ADAPTER}/dev_{band.address.replace(':', '_')}"
                bonded = await property_of(system, path, "org.bluez.Device1", "Bonded")
                link = rig.bands["left"]._peripheral.connection
                return stream_bytes, len(status), bonded, link.is_encrypted, link.sc

    stream_bytes, status_bytes, bonded, encrypted, secure_connections = asyncio.run(run())
    assert stream_bytes == 517 - 3
    assert status_bytes == 24
    assert bonded
    assert encrypted
    assert secure_connections


def test_two_bands_stream_as_they_were_taken(guest):
    emg_uv = wave_uv()

    async def run():
        async with (
            bands_in_reach(guest, ArraySource(emg_uv)) as (rig, _),
            connect(clock=rig.clock, codec=Codec.PACK12, scan_timeout_s=60.0) as bands,
        ):
            return await read(rig, bands)

    recorded = asyncio.run(run())
    for wrist, stats in enumerate(recorded.stats):
        print(stats)
        assert stats.received_samples + stats.missing_samples == SAMPLES
        valid = recorded.valid[:, wrist]
        assert valid.sum() == stats.received_samples + stats.repeated_samples
        assert stats.received_samples > SAMPLES // 2
