"""Our link over a real kernel and bluetoothd: MTU, pairing, a drop, the bonded way back."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import asynccontextmanager

import numpy as np
import pytest

from edge.samples import SIDES
from firmware_bridge.band_script import DropEvent, Script
from firmware_bridge.connect import connect
from firmware_bridge.packet import Codec
from firmware_bridge.rig import virtual_bands
from tests.firmware_bridge.rigging import read
from tests.firmware_bridge.sources import ArraySource, noise_uv
from tests.kernel.air import adapter
from tests.kernel.bus import ADAPTER, powered_adapter, property_of
from tests.kernel.guest import Guest, missing_packages, running

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1200)]

SPEED = 0.15  # 300 samples a second: an emulated kernel carries about 40 notifications a second for a band
SAMPLES = 6000  # 20 s of waiting


@pytest.fixture(scope="module")
def guest():
    if missing := missing_packages():
        pytest.fail(f"this needs Debian's packages {' '.join(missing)}; install them and run it again")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(port) as up:
        yield up
        sys.stdout.write(up.log.read_text(errors="replace"))


@pytest.fixture(autouse=True)
def bus(guest: Guest, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", guest.bus_address)
    monkeypatch.setenv("BLEAK_DBUS_AUTH_UID", "0")


def counts_of(emg_uv):
    return np.rint(np.asarray(emg_uv, np.float64) / Codec.PACK12.gain_uv_per_lsb).astype(np.int64)


def tell(line):
    """For docs/kernel-run.md."""
    sys.stdout.write(f"test: {line}\n")


@asynccontextmanager
async def bands_in_reach(guest: Guest, source, **options):
    """Virtual bands that ask for pairing, and the guest's adapter, powered, on their air."""
    async with (
        virtual_bands(source, speed=SPEED, encrypted=True, **options) as rig,
        adapter(rig._air, guest.hci_socket),
        powered_adapter() as system,
    ):
        yield rig, system


def test_two_bands_pair_stream_drop_and_come_back(guest):
    """One story: a kernel's adapter remembers, and starting over costs a boot."""
    emg_uv = noise_uv(SAMPLES)
    script = Script(events=[DropEvent(at_s=0.8, side="left", away_s=0.3)])

    async def run():
        async with bands_in_reach(guest, ArraySource(emg_uv), script=script) as (rig, system):
            async with connect(
                clock=rig.clock, codec=Codec.PACK12, scan_timeout_s=60.0, pair=True, resume_s=120.0
            ) as bands:
                recorded = await read(rig, bands)
                links = [rig.bands[side]._peripheral.connection for side in SIDES]
                security = [(link.is_encrypted, link.sc) for link in links]
            bonds = [
                await property_of(
                    system, f"{ADAPTER}/dev_{s.address.replace(':', '_')}", "org.bluez.Device1", "Bonded"
                )
                for s in recorded.stats
            ]
            return recorded, security, bonds

    recorded, security, bonds = asyncio.run(run())
    for stats in recorded.stats:
        tell(str(stats))
    assert security == [(True, True)] * 2  # encrypted, by keys of LE Secure Connections
    assert bonds == [True, True]
    left, _ = recorded.stats
    assert left.reconnects >= 1  # the other one, too, where looking for a band stalls its link
    for wrist, stats in enumerate(recorded.stats):
        assert stats.mtu == 517
        assert stats.duplicates == 0
        assert stats.received_samples + stats.missing_samples == SAMPLES
        taken = counts_of(recorded.emg_uv[recorded.valid[:, wrist], wrist])
        fresh = np.concatenate([[True], (np.diff(taken, axis=0) != 0).any(axis=1)])
        assert (~fresh).sum() == stats.repeated_samples
        sent = [tuple(row) for row in counts_of(emg_uv[:, wrist]).tolist()]
        where = [sent.index(tuple(row)) for row in taken[fresh].tolist()]
        assert where == sorted(set(where))  # each once, in order, none that was not sent
        tell(f"{SIDES[wrist]}: {len(where)} samples as taken, {stats.missing_samples} declared missing")
