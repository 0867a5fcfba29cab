"""Bands that are on: what `--band` names, opened, each one source with its keys and its clock."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from edge.charset import ENTER
from edge.extras import require
from edge.replay import FileSource, SessionKeys
from edge.samples import RATE_HZ, KeySource, SampleChunk, SampleSource, Side, SourceInfo
from qwrist.band_spec import HELP, LIVE_HELP, BandSpec, Ble, File, Lsl, Sim, parse

if TYPE_CHECKING:
    from firmware_bridge.pair import BandPair

__all__ = [
    "HELP",
    "LIVE_HELP",
    "LIVE_SESSION",
    "BandSpec",
    "Bands",
    "Ble",
    "Clock",
    "EnterSwitch",
    "File",
    "Host",
    "Lsl",
    "Script",
    "Sim",
    "UpTo",
    "open_bands",
    "parse",
]

# A simulated donning beyond any that was recorded: what is typed live was never trained on.
LIVE_SESSION: Final = 10_000

Clock = Callable[[], float]


@dataclass(frozen=True)
class Host:
    """Unix time that never steps: the wall clock as it was once, and what has passed since."""

    wall_s: float
    monotonic_s: float

    @classmethod
    def now(cls) -> Host:
        """Anchored now."""
        return cls(time.time(), time.monotonic())

    def __call__(self) -> float:
        """Unix seconds."""
        return self.wall_s + time.monotonic() - self.monotonic_s


class Bands(NamedTuple):
    """Bands that are on."""

    source: SampleSource
    clock: Clock
    keys: KeySource | None  # what the wearer presses, where that is known; None: log the terminal
    simulated: bool
    pair: BandPair | None  # the link, where there is one


class Script(NamedTuple):
    """What a simulated wearer is to do: which donning it is, for how long, and what to type."""

    session: int
    duration_s: float
    prompts: Sequence[str]


@asynccontextmanager
async def open_bands(spec: BandSpec, sides: tuple[Side, ...], script: Script) -> AsyncIterator[Bands]:
    """Open a source; `script` is for a simulated wearer only. Raises what a source raises."""
    match spec:
        case Ble():
            async with _bluetooth(spec, sides) as bands:
                yield bands
        case Sim():
            async with _virtual(spec, sides, script) as bands:
                yield bands
        case Lsl(streams):
            from firmware_bridge.lsl.source import open_lsl

            clock = Host.now()
            async with open_lsl(streams, sides, clock=clock) as source:
                yield Bands(source, clock, None, simulated=False, pair=None)
        case File(path, speed):
            replay = FileSource.open(path, speed)
            keys = SessionKeys(replay.session) if replay.session.on_keyboard else None
            yield Bands(replay, Host.now(), keys, replay.session.simulated, pair=None)
        case _:
            assert_never(spec)


@asynccontextmanager
async def _bluetooth(spec: Ble, sides: tuple[Side, ...]) -> AsyncIterator[Bands]:
    from firmware_bridge.connect import connect

    clock = Host.now()
    async with AsyncExitStack() as stack:
        backend = None
        if spec.hci is not None:
            require("bumble", "sim")
            from firmware_bridge.backends.dongle import open_bumble

            backend = await stack.enter_async_context(open_bumble(spec.hci))
        pair = await stack.enter_async_context(
            connect(sides, backend=backend, clock=clock, codec=spec.codec, pair=spec.pair)
        )
        yield Bands(pair, clock, None, simulated=False, pair=pair)


@asynccontextmanager
async def _virtual(spec: Sim, sides: tuple[Side, ...], script: Script) -> AsyncIterator[Bands]:
    from firmware_bridge.connect import connect
    from firmware_bridge.rig import virtual_bands
    from simulate.source import PerformanceKeys, PerformanceSource
    from simulate.wearer import Wearer

    # After Ctrl-C, callbacks of the virtual stack find their futures cancelled, and asyncio would print each;
    # bumble each answer that comes after its request was given up.
    for name in ("asyncio", "bumble"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    wearer = Wearer(spec.wearer, spec.difficulty, sides)
    performance = wearer.perform(script.session, duration_s=script.duration_s, prompts=script.prompts)
    async with (
        virtual_bands(
            PerformanceSource(performance),
            sides=sides,
            speed=spec.speed,
            mtu=spec.mtu,
            start_s=time.time(),
            script=spec.script,
        ) as rig,
        connect(sides, backend=rig.backend, clock=rig.clock, codec=spec.codec) as pair,
    ):
        keys = PerformanceKeys(performance, lambda: rig.start_s)
        yield Bands(pair, rig.clock, keys, simulated=True, pair=pair)


@dataclass
class EnterSwitch:
    """Says that a prompt is done when the wearer presses Enter, and keeps no other key.

    It stands in for the switch of somebody who types without a keyboard, where the wearer is simulated.
    """

    keys: KeySource

    def __call__(self, now_s: float) -> bool:
        """Whether Enter was pressed since the last call."""
        return any(press.key == ENTER for press in self.keys.until(now_s))


@dataclass
class UpTo:
    """A source that is left after `duration_s` seconds of samples."""

    source: SampleSource
    duration_s: float
    last_s: float = -math.inf  # host time of the last sample delivered

    @property
    def info(self) -> SourceInfo:
        """The source's."""
        return self.source.info

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        """The source's, as many whole ones as `duration_s` needs."""
        left = round(self.duration_s * RATE_HZ)
        async with aclosing(self.source.chunks()) as chunks:
            async for chunk in chunks:
                self.last_s = float(chunk.time_s[-1]) if len(chunk.time_s) else self.last_s
                yield chunk
                left -= len(chunk.time_s)
                if left <= 0:
                    return
