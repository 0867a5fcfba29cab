"""Virtual bands in real time for others: processes of this computer, or the real air through dongles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from edge.errors import BadInput
from edge.extras import require
from edge.samples import SampleSource, Side
from firmware_bridge.band_script import NO_SCRIPT, Script, Step
from firmware_bridge.rig import Rig, switched_on
from firmware_bridge.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from firmware_bridge.virtual_air import VirtualController
    from firmware_bridge.virtual_peripheral import Hci

_LINGER_S: Final = 5.0  # after the end: a host reads the status, says STOP and disconnects
_LOOK_S: Final = 0.05


class Listen(NamedTuple):
    """On a virtual air, which processes join over TCP. Port 0: a free one."""

    host: str = "127.0.0.1"
    port: int = 0


class Dongles(NamedTuple):
    """On the real air: one controller a band, in the order of the sides."""

    transports: tuple[str, ...]


class Served(NamedTuple):
    """Bands that others can connect to."""

    rig: Rig
    band: str  # what reaches them: qwrist enroll --band ...
    streaming: asyncio.Task[None]  # to the source's end

    async def wait(self) -> None:
        """Until the source has ended and hosts have had time to go. Raises the source's error."""
        await asyncio.wait([self.streaming])  # which leaves it running where the wait itself is cancelled
        self.streaming.result()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while any(band.connected for band in self.rig.bands.values()):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def serve(
    source: SampleSource,
    sides: Sequence[Side],
    where: Listen | Dongles,
    *,
    script: Script = NO_SCRIPT,
    encrypted: bool = False,
    on_step: Callable[[Step], None] = lambda _: None,
) -> AsyncIterator[Served]:
    """Put a band for each of `sides` on the air until the context ends; the first START begins the source.

    Raises BadInput for an address or name that is none, BluetoothUnavailable.
    """
    require("bumble", "sim")
    async with AsyncExitStack() as stack:
        hcis: Mapping[Side, Hci | VirtualController]
        match where:
            case Listen(host, port):
                hcis, band = await _on_virtual_air(stack, sides, host, port)
            case Dongles(transports):
                hcis, band = await _on_real_air(stack, sides, transports), "ble:"
            case _:
                assert_never(where)
        rig = _rig(source, hcis, script, on_step, encrypted=encrypted)
        streaming = await stack.enter_async_context(switched_on(rig))
        yield Served(rig, band, streaming)


async def _on_virtual_air(
    stack: AsyncExitStack, sides: Sequence[Side], host: str, port: int
) -> tuple[Mapping[Side, VirtualController], str]:
    from firmware_bridge.virtual_air import VirtualAir, VirtualController
    from firmware_bridge.virtual_listener import listening

    air = VirtualAir()
    port = await stack.enter_async_context(listening(air, host, port))
    controllers = {side: VirtualController(f"{side} band", air) for side in sides}
    return controllers, f"ble:hci=tcp-client:{host}:{port}"


async def _on_real_air(
    stack: AsyncExitStack, sides: Sequence[Side], transports: Sequence[str]
) -> Mapping[Side, Hci]:
    from firmware_bridge.backends.dongle import open_hci
    from firmware_bridge.virtual_peripheral import Hci

    if len(transports) != len(sides):
        raise BadInput(
            f"{len(sides)} bands and {len(transports)} dongles; a controller is one band, so name a dongle "
            "for each side, or one side with --sides"
        )
    hcis: dict[Side, Hci] = {}
    for side, transport in zip(sides, transports, strict=True):
        opened = await stack.enter_async_context(open_hci(transport))
        hcis[side] = Hci(opened.source, opened.sink)
    return hcis


def _rig(
    source: SampleSource,
    hcis: Mapping[Side, Hci | VirtualController],
    script: Script,
    on_step: Callable[[Step], None],
    *,
    encrypted: bool,
) -> Rig:
    from firmware_bridge.virtual_band import BandOptions, VirtualBand

    clock = VirtualClock(0.0, speed=1.0)
    bands = {
        side: VirtualBand(
            side,
            hci,
            clock,
            BandOptions(claims=script.claims(side), seed=script.seed, encrypted=encrypted),
        )
        for side, hci in hcis.items()
    }
    return Rig(source, bands, clock=clock, script=script, wait_for_all=False, on_step=on_step)
