"""A device without hardware: a real GATT server, and a bundle's artifacts in a process of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final, NamedTuple

from bumble import data_types
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Service
from bumble.hci import Address

from edge.bundle import OpenBundle, unpacked
from edge.charset import CHARSET
from edge.errors import BadInput
from edge.manifest import FILE_NAME as MODEL_NAME
from edge.manifest import Artifact, RuntimeKind
from edge.runtimes import State
from edge.runtimes.process import ProcessRuntime
from edge.samples import Float32, SampleSource
from firmware_bridge.backends import Backend
from firmware_bridge.backends.bumble import bumble_backend
from firmware_bridge.device import decode_messages
from firmware_bridge.device.decode_service import Decoder, DecodeService
from firmware_bridge.device.line import Target
from firmware_bridge.device.tensors import Calls
from firmware_bridge.device.trial import Job
from firmware_bridge.device.trial_service import NO_FAULTS, Faults, TrialService
from firmware_bridge.virtual_air import VirtualAir, VirtualController

NAME: Final = "Qwrist1D"  # as gatt.advertised_name: the version, and D for a device that decodes
_ADDRESS: Final = "C0:51:57:00:00:0D"
_CENTRAL_ADDRESS: Final = "F0:51:57:00:00:0D"
_ADVERTISING_INTERVAL_MS: Final = 20.0  # the least there is: nobody saves a virtual battery


class VirtualDevice(NamedTuple):
    """What a host needs to reach it."""

    address: str
    backend: Backend

    @property
    def target(self) -> Target:
        """For `open_line`."""
        return Target(self.address, self.backend)


class Artifacts:
    """A bundle's, of which one at a time is loaded: in a process of its own, when it is first asked for."""

    def __init__(self, bundle: OpenBundle, folder: Path) -> None:
        """`folder` holds the bundle's verified files."""
        self._folder = folder
        self._by_sha256 = {bytes.fromhex(one.sha256): one for one in bundle.model.artifacts}
        self._calls = {sha256: Calls.of(one, bundle.model) for sha256, one in self._by_sha256.items()}
        self._loaded: tuple[Artifact, ProcessRuntime] | None = None

    @property
    def calls(self) -> dict[bytes, Calls]:
        """By the SHA-256 of the file, what a call of it is."""
        return self._calls

    def run(self, job: Job) -> tuple[Float32, State]:
        """Run one call. Raises QwristError."""
        return self.load(self._by_sha256[job.sha256]).run(job.x, job.state)

    def load(self, artifact: Artifact) -> ProcessRuntime:
        """The artifact's runtime. Raises QwristError."""
        if self._loaded is None or self._loaded[0] != artifact:
            self.close()
            self._loaded = artifact, ProcessRuntime(self._folder, artifact)
        return self._loaded[1]

    def close(self) -> None:
        """End the process."""
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None


@asynccontextmanager
async def virtual_device(
    bundle: OpenBundle,
    *,
    source: SampleSource | None = None,
    kind: RuntimeKind = "litert",
    faults: Faults = NO_FAULTS,
    lose: frozenset[int] = frozenset(),
    mtu: int = 517,
    air: VirtualAir | None = None,
) -> AsyncIterator[VirtualDevice]:
    """Put a device that holds `bundle` on a virtual air, until the context ends.

    Args:
        bundle: what it runs; every byte of it was verified when it was opened.
        source: what it decodes; without one DECODE refuses to start.
        kind: the runtime that it decodes with.
        faults: what goes wrong with DEVICE-TEST.
        lose: notifications of DECODE that are never sent, by their number.
        mtu: the largest ATT MTU that it agrees to.
        air: which one; of its own unless given.

    Raises BadInput where the bundle holds nothing to decode with, MissingExtra, RuntimeDied.
    """
    air = air or VirtualAir()
    with (
        unpacked(bundle) as folder,
        closing(Artifacts(bundle, folder)) as tested,
        closing(Artifacts(bundle, folder)) as decoding,
    ):
        decoder = None
        if source is not None:
            runtime = await asyncio.to_thread(decoding.load, _decoding(bundle, kind))
            decoder = Decoder(source, bundle.model, runtime, lose)
        trial = TrialService(tested.calls, "virtual device", tested.run, faults)
        decode = DecodeService(_model(bundle, kind), decoder, air.quiet)
        async with _powered(air, [decode.service, trial.service], mtu) as backend:
            try:
                yield VirtualDevice(_ADDRESS, backend)
            finally:
                await trial.close()
                await decode.close()


@asynccontextmanager
async def _powered(air: VirtualAir, services: Sequence[Service], mtu: int) -> AsyncIterator[Backend]:
    """A device with `services` that advertises while nobody is connected; the other end of its air."""
    ends = VirtualController("device", air), VirtualController("host", air)
    peripheral = Device.from_config_with_hci(
        DeviceConfiguration(
            name=NAME,
            address=Address(_ADDRESS),
            advertising_interval_min=_ADVERTISING_INTERVAL_MS,
            advertising_interval_max=_ADVERTISING_INTERVAL_MS,
            advertising_data=_advertising_data(),
        ),
        ends[0],
        ends[0],
    )
    peripheral.gatt_server.max_mtu = mtu
    peripheral.add_services(list(services))
    central = Device.with_hci("qwrist", Address(_CENTRAL_ADDRESS), ends[1], ends[1])
    for device in (central, peripheral):
        await device.power_on()
    await peripheral.start_advertising(auto_restart=True)
    try:
        yield bumble_backend(central)
    finally:
        await air.quiet()
        for device in (peripheral, central):
            await device.power_off()


def _advertising_data() -> bytes:
    flags = AdvertisingData.Flags.LE_GENERAL_DISCOVERABLE_MODE | AdvertisingData.Flags.BR_EDR_NOT_SUPPORTED
    service = data_types.CompleteListOf128BitServiceUUIDs([UUID(decode_messages.SERVICE)])
    return bytes(AdvertisingData([data_types.Flags(flags), service, data_types.CompleteLocalName(NAME)]))


def _decoding(bundle: OpenBundle, kind: RuntimeKind) -> Artifact:
    """What a bundle is decoded with. Raises BadInput, BundleRefused."""
    artifact = bundle.model.desk_artifact(kind)
    if artifact is None:
        raise BadInput(f"{bundle.folder} holds no model of frames for {kind}; name another runtime")
    bundle.check_version(kind)
    return artifact


def _model(bundle: OpenBundle, kind: RuntimeKind) -> decode_messages.Model:
    model, artifact = bundle.model, bundle.model.desk_artifact(kind)
    form = model.form if artifact is None else artifact.form
    return decode_messages.Model(
        version=decode_messages.VERSION,
        boot=1,
        stride=model.stride,
        classes=CHARSET.num_classes,
        blank=model.blank,
        chunk_frames=form.chunk_frames,
        lookahead_frames=form.lookahead_frames,
        counter=bundle.manifest.counter,
        model_sha256=bytes.fromhex(bundle.manifest.files[MODEL_NAME].sha256),
        charset_sha256=bytes.fromhex(model.charset_sha256),
        user=model.user,
    )
