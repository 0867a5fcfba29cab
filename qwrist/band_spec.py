"""What `--band` says: the kind of source before the colon, its settings after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from edge.errors import BadInput
from firmware_bridge.band_script import NO_SCRIPT, Script, load
from firmware_bridge.lsl.description import Channels
from firmware_bridge.lsl.source import LslStreams
from firmware_bridge.packet import Codec
from personalize.base_users import forbid
from simulate.difficulty import presets

T = TypeVar("T")

SLOWEST: Final = 0.1  # of real time: below it a recording looks like one that hangs
FASTEST: Final = 100.0  # no link of ours carries more
LEAST_MTU: Final = 23  # ATT's
MOST_MTU: Final = 517  # what a value of 512 bytes, ATT's longest, needs with its header

LIVE_HELP: Final = (
    "Where samples come from: ble: (bands in reach), lsl: (amplifiers on the lab network) or sim: (a "
    "simulated wearer, e.g. sim:wearer=2,speed=1); docs/cli.md has their settings."
)
HELP: Final = LIVE_HELP.replace(" or sim:", ", file:PATH or sim:")


class Ble(NamedTuple):
    """The bands in reach, through the operating system, or through a controller that bumble calls `hci`."""

    hci: str | None = None
    codec: Codec = Codec.RICE12  # the one asked for; a band without it begins with another
    pair: bool = False


class Sim(NamedTuple):
    """A simulated wearer's virtual bands. speed None: as fast as the link carries it."""

    wearer: int = 1
    difficulty: str = "medium"
    speed: float | None = None
    script: Script = NO_SCRIPT  # what goes wrong
    mtu: int = MOST_MTU
    codec: Codec = Codec.RICE12


class File(NamedTuple):
    """A session file. speed None: as fast as it is taken."""

    path: Path
    speed: float | None = None


class Lsl(NamedTuple):
    """Streams of the lab network."""

    streams: LslStreams = LslStreams()


BandSpec = Ble | Sim | File | Lsl


def parse(text: str) -> BandSpec:
    """Read `ble:...`, `sim:...`, `lsl:...` or `file:...`. Raises BadInput."""
    kind, _, rest = text.partition(":")
    match kind:
        case "ble":
            return _ble(Settings(kind, rest))
        case "sim":
            return _sim(Settings(kind, rest))
        case "lsl":
            return _lsl(Settings(kind, rest, first="both"))
        case "file" if rest:
            path, _, speed = rest.partition(",speed=")  # a path may hold anything else
            settings = Settings(kind, f"speed={speed}" if speed else "")
            return File(Path(path), settings.take("speed", lambda value: _speed(value, SLOWEST / 10), None))
        case _:
            raise BadInput(f"{text!r} is no source of samples; use ble:, lsl:, sim: or file:PATH")


class Settings:
    """NAME=VALUE after a colon, with commas between; those of `first` may stand without its name.

    A value goes on to the next `,NAME=`, so that it may hold commas itself: serial:/dev/ttyACM0,1000000.
    """

    def __init__(self, kind: str, text: str, first: str | None = None) -> None:
        self._kind = kind
        self._values: dict[str, str] = {}
        for i, setting in enumerate(filter(None, re.split(r",(?=[a-z]+=)", text))):
            name, equals, value = setting.partition("=")
            if i == 0 and first is not None and not equals:
                name, value = first, setting
            if name in self._values:
                raise BadInput(f"{kind}: has {name} twice; say it once")
            self._values[name] = value
        self._known: list[str] = []

    def take(self, name: str, read: Callable[[str], T], default: T) -> T:
        """A setting's value. Raises BadInput where `read` has a ValueError: its text is what was expected."""
        self._known.append(name)
        if name not in self._values:
            return default
        value = self._values.pop(name)
        try:
            return read(value)
        except ValueError as error:
            raise BadInput(f"{self._kind}: {name} is {value!r}; expected {error}") from None

    def finish(self) -> None:
        """Refuse what nobody took."""
        for name in self._values:
            raise BadInput(f"{self._kind}: knows no {name!r}; it has {_listed(self._known)}")


def _ble(settings: Settings) -> Ble:
    ble = Ble(
        settings.take("hci", a_name, None),
        settings.take("codec", _codec, Codec.RICE12),
        settings.take("pair", yes_or_no, False),
    )
    settings.finish()
    return ble


def _sim(settings: Settings) -> Sim:
    sim = Sim(
        settings.take("wearer", _wearer, Sim().wearer),
        settings.take("difficulty", _difficulty, Sim().difficulty),
        settings.take("speed", lambda value: _speed(value, SLOWEST), None),
        settings.take("script", _script, NO_SCRIPT),
        settings.take("mtu", _mtu, MOST_MTU),
        settings.take("codec", _codec, Codec.RICE12),
    )
    settings.finish()
    forbid(sim.wearer)
    return sim


def _lsl(settings: Settings) -> Lsl:
    streams = LslStreams(
        settings.take("both", a_name, None),
        settings.take("left", a_name, None),
        settings.take("right", a_name, None),
        settings.take("unit", a_name, None),
        settings.take("channels", _channels, None),
        "arrival" if settings.take("stamps", _stamps, False) else "stream",
    )
    settings.finish()
    return Lsl(streams)


# Each reads a value; its ValueError says what was expected.


def a_name(value: str) -> str:
    """Anything but nothing."""
    if not value:
        raise ValueError("a name")
    return value


def _wearer(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", value) is None:
        raise ValueError("a number from 0")
    return int(value)


def _difficulty(value: str) -> str:
    if value not in presets():
        raise ValueError(_listed(list(presets()), "or"))
    return value


def _script(value: str) -> Script:
    return load(a_name(value))


def _mtu(value: str) -> int:
    if not value.isdecimal() or not LEAST_MTU <= int(value) <= MOST_MTU:
        raise ValueError(f"a number from {LEAST_MTU} to {MOST_MTU}")
    return int(value)


def _speed(value: str, slowest: float) -> float:
    try:
        speed = float(value)
    except ValueError:
        raise ValueError("a number") from None
    if not slowest <= speed <= FASTEST:
        raise ValueError(f"{slowest:g} to {FASTEST:g}, where 1 is real time, or none: as fast as it goes")
    return speed


def _codec(value: str) -> Codec:
    if value not in (names := [codec.name.lower() for codec in Codec]):
        raise ValueError(_listed(names, "or"))
    return Codec[value.upper()]


def _channels(value: str) -> Channels:
    """From 1, as amplifiers number them."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})-([1-9][0-9]{0,3})", value)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError("the first and the last, such as 1-32")
    return Channels(int(match[1]) - 1, int(match[2]))


def yes_or_no(value: str) -> bool:
    """One of the two."""
    return _one_of(value, {"yes": True, "no": False})


def _stamps(value: str) -> bool:
    return _one_of(value, {"arrival": True, "stream": False})


def _one_of(value: str, meanings: dict[str, bool]) -> bool:
    if value not in meanings:
        raise ValueError(_listed(list(meanings), "or"))
    return meanings[value]


def _listed(names: list[str], word: str = "and") -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
