"""Where samples come from: `ble:`, `sim:` or `file:`, each one source with its keys and its clock."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from edge.charset import ENTER
from edge.errors import BadInput
from edge.replay import FileSource, SessionKeys
from edge.samples import RATE_HZ, KeySource, SampleChunk, SampleSource, Side, SourceInfo
from personalize.base_users import forbid

if TYPE_CHECKING:
    from firmware_bridge.pair import BandPair
    from simulate.wearer import Performance

Clock = Callable[[], float]


class Ble(NamedTuple):
    """The two bands in reach, through the operating system."""


class Sim(NamedTuple):
    """A simulated wearer's virtual bands. speed None: as fast as the link carries it."""

    wearer: int = 1
    difficulty: str = "medium"
    speed: float | None = None


class File(NamedTuple):
    """A session file. speed None: as fast as it is taken."""

    path: Path
    speed: float | None = None


BandSpec = Ble | Sim | File

SLOWEST: Final = 0.1  # of real time: below it a recording looks like one that hangs
FASTEST: Final = 100.0  # no link of ours carries more

LIVE_HELP = "Where samples come from: ble:, or sim: (a simulated wearer, e.g. sim:wearer=2,speed=1)."
HELP = LIVE_HELP.removesuffix(".") + ", or file:PATH."


def parse(text: str) -> BandSpec:
    """Read `ble:`, `sim:...` or `file:...`. Raises BadInput."""
    kind, _, rest = text.partition(":")
    match kind:
        case "ble":
            return Ble()
        case "sim":
            return _parse_sim(rest)
        case "file" if rest:
            return File(Path(rest))
        case _:
            raise BadInput(f"{text!r} is no source of samples; use ble:, sim: or file:PATH")


def _parse_sim(settings: str) -> Sim:
    sim = Sim()
    for setting in filter(None, settings.split(",")):
        name, _, value = setting.partition("=")
        try:
            match name:
                case "wearer":
                    sim = sim._replace(wearer=int(value))
                case "difficulty":
                    sim = sim._replace(difficulty=value)
                case "speed":
                    sim = sim._replace(speed=float(value))
                case _:
                    raise BadInput(f"sim: knows no {name!r}; it has wearer, difficulty and speed")
        except ValueError:
            raise BadInput(f"sim: {name} is a number, not {value!r}") from None
    if sim.speed is not None and not SLOWEST <= sim.speed <= FASTEST:
        raise BadInput(
            f"sim: speed is {sim.speed:g}; expected {SLOWEST:g} to {FASTEST:g}, where 1 is real time, "
            "or none for as fast as the link carries it"
        )
    forbid(sim.wearer)
    return sim


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
            from firmware_bridge.connect import connect

            clock = Host.now()
            async with connect(sides, clock=clock) as pair:
                yield Bands(pair, clock, None, simulated=False, pair=pair)
        case Sim(wearer, difficulty, speed):
            from simulate.wearer import Wearer

            performer = Wearer(wearer, difficulty, sides)
            performance = performer.perform(
                script.session, duration_s=script.duration_s, prompts=script.prompts
            )
            async with _virtual(performance, speed) as bands:
                yield bands
        case File(path, speed):
            replay = FileSource.open(path, speed)
            keys = SessionKeys(replay.session) if replay.session.on_keyboard else None
            yield Bands(replay, Host.now(), keys, replay.session.simulated, pair=None)
        case _:
            assert_never(spec)


@asynccontextmanager
async def _virtual(performance: Performance, speed: float | None) -> AsyncIterator[Bands]:
    from firmware_bridge.connect import connect
    from firmware_bridge.rig import virtual_bands

    # After Ctrl-C, callbacks of the virtual stack find their futures cancelled, and asyncio would print each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    from simulate.source import PerformanceKeys, PerformanceSource

    async with virtual_bands(
        PerformanceSource(performance), sides=performance.sides, speed=speed, start_s=time.time()
    ) as rig:
        keys = PerformanceKeys(performance, lambda: rig.start_s)
        async with connect(performance.sides, backend=rig.backend, clock=rig.clock) as pair:
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
