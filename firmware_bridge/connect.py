"""The way in: connect to the bands that are worn, over this machine's Bluetooth or a rig of virtual bands."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edge.errors import BadInput
from edge.extras import require
from edge.samples import SIDES, Side
from firmware_bridge.backends import Backend
from firmware_bridge.packet import Codec

if TYPE_CHECKING:
    from firmware_bridge.link import Clock
    from firmware_bridge.pair import BandPair


@asynccontextmanager
async def connect(
    sides: Sequence[Side] = SIDES,
    *,
    backend: Backend | None = None,
    clock: Clock = time.monotonic,
    codec: Codec = Codec.RICE12,
    scan_timeout_s: float = 10.0,
    resume_s: float = 60.0,
    pair: bool = False,
) -> AsyncIterator[BandPair]:
    """Both bands, or the one that is worn, as a SampleSource; connected until the context ends.

    Args:
        sides: which bands to wait for.
        backend: a rig's or another Bluetooth stack; the operating system's unless given.
        clock: the host's seconds, by which samples are timed: that of the keys.
        codec: how samples travel to begin with; a band steps to a shorter one where the radio is behind.
        scan_timeout_s: how long to look for the bands.
        resume_s: how long a band that was lost is looked for before the stream ends; 0: not at all.
        pair: pair before anything is read, for bands that ask for it.

    Raises:
        BandNotFound, BandRefused, BluetoothUnavailable, SourceLost: each with what to do about it.
    """
    if not sides or len(set(sides)) != len(sides):
        raise BadInput(f"the sides to connect are {list(sides)}; name left, right, or both once")
    require("bleak", "ble")
    from firmware_bridge.link import LinkOptions
    from firmware_bridge.pair import open_pair

    options = LinkOptions(codec, pair=pair)
    async with open_pair(sides, backend, clock, options, scan_timeout_s, resume_s) as bands:
        yield bands
