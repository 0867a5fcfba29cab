"""A device by way of BlueZ: bleak's own backend, writes without response and a link that breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from dbus_fast.aio import MessageBus

from firmware_bridge.device.line import Target
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.transfer import Patience
from firmware_bridge.device.trial_host import TrialHost
from firmware_bridge.device.trial_messages import Begins
from firmware_bridge.device.trial_service import Faults
from firmware_bridge.device.virtual_device import virtual_device
from tests.export.phone.making import recording
from tests.firmware_bridge.bluez.bus import private_bus
from tests.firmware_bridge.bluez.service import BluezService
from tests.firmware_bridge.device.making import bundle_of_two


def test_a_chunk_is_finished_over_another_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundle_of_two(tmp_path)
    artifact, frames = bundle.model.artifacts[0], recording().frames
    calls = Calls.of(artifact, bundle.model)

    async def run(address: str) -> tuple[list[bytes], int]:
        bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
        async with virtual_device(bundle, faults=Faults(disconnect=frozenset({50}))) as device:
            service = BluezService(bus, device.backend.client.device)
            await service.start()
            patience = Patience(backoff_s=0.05)
            host = TrialHost(Target(device.address), bytes.fromhex(artifact.sha256), calls, patience=patience)
            try:
                said = [
                    await host.run(
                        Begins.CARRIED if i else Begins.INITIAL, calls.pack_input(frames[i : i + 4])
                    )
                    for i in (0, 4, 8)
                ]
            finally:
                await host.close()
                bus.disconnect()
            return said, host.reconnects

    with private_bus() as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        said, reconnects = asyncio.run(run(address))
    assert reconnects == 1
    here = bundle.runtime(artifact)
    state = here.initial_state()
    for i, found in zip((0, 4, 8), said, strict=True):
        log_probs, state = here.run(frames[i : i + 4], state)
        np.testing.assert_array_equal(calls.unpack_result(found), log_probs)
