"""What a stream must be to stand in for bands: sixteen channels a wrist, 2 kHz, numbers of a known unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge.samples import ELECTRODES, RATE_HZ, Float32
from firmware_bridge.errors import BandRefused

if TYPE_CHECKING:
    import pylsl

CONTENT_TYPE: Final = "EMG"  # XDF's name for it; what an unnamed stream must be
MICROVOLTS: Final = "microvolts"  # as XDF spells it

# The spellings met in XDF files and in pylsl; powers of ten are mne-lsl's.
_UV: Final = {
    **dict.fromkeys(("microvolts", "microvolt", "uv", "µv", "μv", "-6"), 1.0),
    **dict.fromkeys(("millivolts", "millivolt", "mv", "-3"), 1e3),
    **dict.fromkeys(("volts", "volt", "v"), 1e6),
    **dict.fromkeys(("nanovolts", "nanovolt", "nv", "-9"), 1e-3),
}


class Channels(NamedTuple):
    """Some that follow each other, counted from 0; `stop` is the first that is not wanted."""

    start: int
    stop: int


class Description(NamedTuple):
    """What a stream says of itself."""

    name: str
    content_type: str
    channels: int
    rate_hz: float  # 0: irregular
    numeric: bool
    units: tuple[str | None, ...] = ()  # by channel; empty or None where it does not say
    filtered: bool = False  # already high-passed at 40 Hz; only our own outlet says so

    def __str__(self) -> str:
        return (
            f"{self.name!r} ({self.content_type or 'no type'}, {self.channels} channels, {self.rate_hz:g} Hz)"
        )


def describe(info: pylsl.StreamInfo) -> Description:
    """Read a stream's description; a resolved one, not yet opened, has no units."""
    import pylsl

    units = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        units.append(channel.child_value("unit") or None)
        channel = channel.next_sibling("channel")
    return Description(
        info.name(),
        info.type(),
        info.channel_count(),
        info.nominal_srate(),
        info.channel_format() not in (pylsl.cf_string, pylsl.cf_undefined),
        tuple(units),
        info.desc().child("qwrist").child_value("filtered") == "yes",
    )


def chosen(stream: Description, channels: Channels) -> Description:
    """The stream as if it had these channels only. Raises BandRefused where it has fewer."""
    if channels.stop > stream.channels:
        raise BandRefused(f"the LSL stream {stream} has no channel {channels.stop}; see lsl:channels=")
    part = slice(channels.start, channels.stop)
    return stream._replace(channels=channels.stop - channels.start, units=stream.units[part])


def check(stream: Description, bands: int) -> None:
    """Whether the stream carries `bands` bands. Raises BandRefused naming what is wrong."""
    if not stream.numeric:
        raise BandRefused(f"the LSL stream {stream} carries text; name the one with the samples")
    if stream.channels != bands * ELECTRODES:
        raise BandRefused(
            f"the LSL stream {stream} has {stream.channels} channels; expected {bands * ELECTRODES}, "
            f"{ELECTRODES} a band in ring order; choose them, as in lsl:NAME,channels=1-32, or name the "
            "stream of each wrist: lsl:left=NAME,right=NAME"
        )
    if not math.isclose(stream.rate_hz, RATE_HZ, rel_tol=1e-3):
        rate = f"{stream.rate_hz:g} Hz" if stream.rate_hz else "no regular rate"
        raise BandRefused(
            f"the LSL stream {stream} says {rate}; expected {RATE_HZ} Hz; set it in the amplifier's program"
        )


def scale_uv(stream: Description, unit: str | None = None) -> Float32:
    """(C,) microvolts for 1 of each channel; `unit` is for a stream that names none.

    Raises BandRefused where the stream and `unit` leave it open or contradict each other.
    """
    told = [name for name in stream.units if name is not None]
    if not told:
        if unit is None:
            raise BandRefused(
                f"the LSL stream {stream} does not say its unit; if you know it, say it: lsl:unit=microvolts"
            )
        told = [unit] * stream.channels
    if len(told) != stream.channels:
        raise BandRefused(f"the LSL stream {stream} names the unit of {len(told)} channels only")
    factors = [_factor(stream, name) for name in told]
    if unit is not None and any(factor != _factor(stream, unit) for factor in factors):
        raise BandRefused(f"the LSL stream {stream} is in {_one_of(told)}, not in {unit}; leave unit= away")
    return np.array(factors, np.float32)


def _factor(stream: Description, unit: str) -> float:
    factor = _UV.get(unit.strip().lower())
    if factor is None:
        raise BandRefused(f"the LSL stream {stream} is in {unit!r}; expected microvolts, millivolts or volts")
    return factor


def _one_of(units: Sequence[str]) -> str:
    return " and ".join(sorted(set(units)))
