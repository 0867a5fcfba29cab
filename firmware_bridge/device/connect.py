"""The way in: a device in reach, or a virtual one, as a Runtime for each artifact that it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, assert_never

from edge.extras import require
from edge.manifest import Artifact, ModelManifest
from firmware_bridge.device.errors import DeviceRefused, NotHeld

if TYPE_CHECKING:
    from edge.bundle import OpenBundle
    from firmware_bridge.device.line import Target
    from firmware_bridge.device.runtime import DeviceRuntime, LoopThread
    from firmware_bridge.device.transfer import Patience
    from firmware_bridge.device.trial_service import Faults


class Ble(NamedTuple):
    """A device in reach, the only one unless its address is given.

    Through the operating system, or through a controller that bumble calls `hci`.
    """

    address: str | None = None  # a UUID on macOS
    hci: str | None = None
    pair: bool = False


class Sim(NamedTuple):
    """A virtual device in this process, with the bundle that it is to be compared with."""

    faults: Faults | None = None


DeviceSpec = Ble | Sim


class Bench:
    """A device that artifacts are run on; made by `open_bench`."""

    def __init__(self, target: Target, thread: LoopThread, patience: Patience) -> None:
        self._target, self._thread, self._patience = target, thread, patience

    @contextmanager
    def runtime(self, artifact: Artifact, model: ModelManifest) -> Iterator[DeviceRuntime]:
        """An artifact of `model`, run on the device.

        Raises NotHeld where the device has no such file, and what `DeviceRuntime.run` raises.
        """
        from firmware_bridge.device.runtime import DeviceRuntime
        from firmware_bridge.device.tensors import Calls
        from firmware_bridge.device.trial_host import TrialHost

        calls = Calls.of(artifact, model)
        host = TrialHost(self._target, bytes.fromhex(artifact.sha256), calls, patience=self._patience)
        try:
            info = self._thread.call(host.open())
            yield DeviceRuntime(host, calls, info.name, self._thread)
        finally:
            self._thread.call(host.close())

    def held(self, model: ModelManifest) -> list[Artifact]:
        """The artifacts of `model` that the device has. Raises DeviceRefused where it has none."""
        found = []
        for artifact in model.artifacts:
            with suppress(NotHeld), self.runtime(artifact, model):
                found.append(artifact)
        if not found:
            files = ", ".join(artifact.file for artifact in model.artifacts) or "nothing was exported"
            raise DeviceRefused(
                f"the device holds no artifact of this bundle ({files}); put the bundle on it"
            )
        return found


@contextmanager
def open_bench(spec: DeviceSpec, bundle: OpenBundle, patience: Patience | None = None) -> Iterator[Bench]:
    """The device that `spec` says, until the context ends.

    Raises MissingExtra, DeviceNotFound; BadInput, BluetoothUnavailable for a controller that is none or away.
    """
    require("bleak", "ble")
    from firmware_bridge.device.runtime import LoopThread
    from firmware_bridge.device.transfer import PATIENT

    with LoopThread() as thread:
        opened = _target(spec, bundle)
        target = thread.call(opened.__aenter__())
        try:
            yield Bench(target, thread, patience or PATIENT)
        finally:
            thread.call(opened.__aexit__(None, None, None))


@asynccontextmanager
async def _target(spec: DeviceSpec, bundle: OpenBundle) -> AsyncIterator[Target]:
    from firmware_bridge.device.line import find

    match spec:
        case Ble():
            async with _in_reach(spec) as target:
                yield target if target.address else target._replace(address=(await find(target)).address)
        case Sim(faults):
            require("bumble", "sim")
            from firmware_bridge.device.trial_service import NO_FAULTS
            from firmware_bridge.device.virtual_device import virtual_device

            async with virtual_device(bundle, faults=faults or NO_FAULTS) as device:
                yield device.target
        case _:
            assert_never(spec)


@asynccontextmanager
async def _in_reach(spec: Ble) -> AsyncIterator[Target]:
    from firmware_bridge.device.line import Target

    if spec.hci is None:
        yield Target(spec.address, pair=spec.pair)
        return
    require("bumble", "sim")
    from firmware_bridge.backends.dongle import open_bumble

    async with open_bumble(spec.hci) as backend:
        yield Target(spec.address, backend, pair=spec.pair)
