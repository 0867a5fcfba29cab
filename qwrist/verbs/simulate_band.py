"""`qwrist simulate-band`: bands without hardware, for other programs on this computer or on the real air."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from edge.errors import BadInput
from edge.replay import FileSource
from edge.samples import RATE_HZ, SampleSource, Side
from qwrist import ui
from qwrist.band_spec import File, Sim, parse
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import parse_sides
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from firmware_bridge.band_script import Script, Step
    from firmware_bridge.serve import Dongles, Listen, Served

_LONGEST_S = 3600.0  # the wearer's muscles are computed first: an hour takes 1 GB


def simulate_band(
    wearer: Annotated[
        str, typer.Option(help="Whose: a simulated wearer (sim:wearer=2) or a recording (file:PATH).")
    ] = "sim:",
    sides: Annotated[str, typer.Option(help="The bands that are worn: left, right or left,right.")] = (
        "left,right"
    ),
    seconds: Annotated[float, typer.Option(help="How long a simulated wearer types.")] = 60.0,
    script: Annotated[
        str | None, typer.Option(help="What goes wrong: a script's name or .yaml file; see configs/bands.")
    ] = None,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT where programs of this computer connect; port 0 is a free one.")
    ] = "127.0.0.1:9800",
    hci: Annotated[
        list[str] | None,
        typer.Option(help="On the real air instead: a Bluetooth dongle for each side (usb:0, serial:...)."),
    ] = None,
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Answer only hosts that have paired.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Be one or two bands, in real time, from the first START until the wearer stops or Ctrl-C."""
    from firmware_bridge.band_script import NO_SCRIPT, load
    from firmware_bridge.serve import Dongles

    check_number("--seconds", seconds, most=_LONGEST_S)
    worn = parse_sides(sides)
    what = load(script) if script is not None else NO_SCRIPT
    where = Dongles(tuple(hci)) if hci else _address(listen)
    source = _source(wearer, worn, seconds)
    # Both print each host that comes, goes or dies; after Ctrl-C, asyncio each future that was cancelled.
    for name in ("asyncio", "bumble"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    result = asyncio.run(_serve(source, worn, where, what, encrypted=encrypted))
    if as_json:
        ui.emit_json(result)
    else:
        ui.facts("Sent", {str(row["side"]): _in_words(row) for row in result})


async def _serve(
    source: SampleSource, worn: tuple[Side, ...], where: Listen | Dongles, script: Script, *, encrypted: bool
) -> list[dict[str, object]]:
    from firmware_bridge.serve import serve

    def tell(step: Step) -> None:
        from firmware_bridge.band_script import describe

        ui.note(f"{step.tick / RATE_HZ:7.2f} s  {step.side:<5}  {describe(step.change)}")

    async with serve(source, worn, where, script=script, encrypted=encrypted, on_step=tell) as served:
        ui.note(f"{' and '.join(worn)} advertise; reach them with --band {served.band}")
        with suppress(asyncio.CancelledError):  # Ctrl-C: what was sent is told all the same
            await served.wait()
        return _counted(served)


def _counted(served: Served) -> list[dict[str, object]]:
    return [
        {"side": side, "packets": band.sent, "overflows": band.overflows, "boot": band.sampler.boot}
        for side, band in served.rig.bands.items()
    ]


def _in_words(row: dict[str, object]) -> str:
    return f"{row['packets']} packets, {row['overflows']} overflowed, boot {row['boot']}"


def _address(text: str) -> Listen:
    from firmware_bridge.serve import Listen

    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise BadInput(f"--listen is {text!r}; expected HOST:PORT, for example 127.0.0.1:9800")
    return Listen(host, int(port))


def _source(wearer: str, worn: tuple[Side, ...], seconds: float) -> SampleSource:
    """What the wrists do."""
    match parse(wearer):
        case Sim(number, difficulty) as sim if sim == Sim(number, difficulty):
            from simulate.source import PerformanceSource
            from simulate.wearer import Wearer

            performer = Wearer(number, difficulty, worn)
            return PerformanceSource(performer.perform(0, duration_s=seconds))
        case File(path, None):
            return FileSource.open(path)
        case _:
            raise BadInput(
                f"--wearer is {wearer!r}; expected sim:wearer=N,difficulty=D or file:PATH: bands run in real "
                "time, and take scripts by --script"
            )
