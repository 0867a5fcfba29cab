"""`qwrist relay`: the bands' stream for every program of the lab network."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated

import typer

from edge.errors import BadInput
from edge.prompts import prompt_deck
from edge.samples import RATE_HZ, SIDES, Side
from qwrist import bands, ui
from qwrist.bands import BandSpec, Script
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import BandOption, parse_sides
from qwrist.verbs.users import AsJson

_LONGEST_S = 24 * 3600.0
_SESSION = 30_000  # a donning of the simulated wearer that nobody records


def relay(
    band: BandOption = "ble:",
    name: Annotated[str, typer.Option(help="What the stream is called.")] = "qwrist",
    seconds: Annotated[float | None, typer.Option(help="Stop after so long (default: Ctrl-C).")] = None,
    sides: Annotated[str, typer.Option(help="The bands that are worn: left, right or left,right.")] = (
        "left,right"
    ),
    as_json: AsJson = False,
) -> None:
    """Give the bands' samples to the lab network as an LSL stream, missing ones as NaN."""
    check_number("--seconds", seconds, most=_LONGEST_S)
    if not name:
        raise BadInput("--name is empty; a stream is found by its name")
    spec = bands.parse(band)
    if isinstance(spec, bands.Sim) and seconds is None:
        raise BadInput("a simulated wearer types as long as you say; add --seconds")
    relayed = Relayed()
    try:
        asyncio.run(_relay(spec, parse_sides(sides), name, seconds or _LONGEST_S, relayed))
    except KeyboardInterrupt:
        ui.note("\nstopped")
    result = {"stream": name, "seconds": relayed.samples / RATE_HZ, "missing_samples": relayed.missing}
    if as_json:
        ui.emit_json(result)
    else:
        ui.facts("Relayed", result)


class Relayed:
    """What has been given on."""

    def __init__(self) -> None:
        self.samples = 0
        self.missing = 0  # of all bands that are worn


async def _relay(spec: BandSpec, worn: tuple[Side, ...], name: str, seconds: float, relayed: Relayed) -> None:
    from firmware_bridge.lsl.outlet import LslOutlet
    from firmware_bridge.lsl.outlet import relay as pass_on

    prompts = list(islice(prompt_deck(_SESSION), 1 + round(seconds))) if isinstance(spec, bands.Sim) else []
    async with bands.open_bands(spec, worn, Script(_SESSION, seconds, prompts)) as opened:
        outlet = LslOutlet(opened.source.info, name, opened.clock)
        ui.note(f"the LSL stream {name!r} is on the network; Ctrl-C ends it")
        wrists = [SIDES.index(side) for side in opened.source.info.sides]
        async for chunk in pass_on(bands.UpTo(opened.source, seconds), outlet):
            relayed.samples += len(chunk.time_s)
            relayed.missing += int((~chunk.valid[:, wrists]).sum())
            if opened.pair is not None:  # by the bands' own numbering
                relayed.missing = sum(link.missing_samples for link in opened.pair.stats())
