"""`qwrist don`: how the bands sit today, and by how much `type` rolls their electrodes back."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack, aclosing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from edge import roll
from edge.errors import NotEnoughData
from edge.features import Frames, LogSpectrogram
from edge.highpass import HighPass
from edge.keys import TerminalKeys
from edge.manifest import read_manifest
from edge.prompts import prompt_deck
from edge.roll import Roll, newest_recording
from edge.samples import RATE_HZ, SIDES, SampleChunk, Side
from edge.store import User, UserStore
from qwrist import bands, ui
from qwrist.bands import LIVE_SESSION, Bands, BandSpec, Script
from qwrist.verbs.models import model_folder
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import BandOption
from qwrist.verbs.users import AsJson, UserId

if TYPE_CHECKING:
    from personalize.donning import Seat

FAILED: Final = 1
SECONDS: Final = 20.0  # what the figures of docs/guides/personalization.md were measured with
_LEAST_S: Final = 10.0  # personalize.donning.FEWEST_S: less is refused once it was heard
_LONGEST_S: Final = 600.0
_DECK: Final = 20_000  # prompts that no recording shows
_SHOWN: Final = 4  # prompts of 20 s, typed fast


def don(
    user: UserId,
    band: BandOption = "ble:",
    seconds: Annotated[float, typer.Option(help="How long to type.")] = SECONDS,
    as_json: AsJson = False,
) -> None:
    """After putting the bands on: how they sit. `type` then rolls their electrodes. Exit code 1: a guess."""
    from personalize.donning import prints, seats
    from personalize.prints import trained_on

    check_number("--seconds", seconds, least=_LEAST_S, most=_LONGEST_S)
    spec, found = bands.parse(band), UserStore.default().user(user)
    folder = model_folder(found, None)
    manifest = read_manifest(folder)
    before = trained_on(found, folder)
    with ui.progress("listening") as advance:
        frames, simulated = asyncio.run(_listen(spec, manifest.sides, seconds, advance))
    sitting = seats(before, prints(frames))
    if not sitting:
        raise NotEnoughData(f"no band was heard that model {folder.name} knows: {', '.join(manifest.sides)}")
    doubts = [doubt for seat in sitting for doubt in seat.doubts]
    if doubts:
        roll.drop(found)
    else:
        roll.keep(found, _roll(sitting, found, folder))
    if as_json:
        ui.emit_json({"model": folder.name, "simulated": simulated} | _as_json(sitting, doubts))
    else:
        _render(sitting, doubts, user)
    if doubts:
        raise typer.Exit(FAILED)


async def _listen(
    spec: BandSpec, sides: tuple[Side, ...], seconds: float, advance: ui.Advance
) -> tuple[Frames, bool]:
    """What was heard, and whether it is simulated."""
    chunks: list[SampleChunk] = []
    prompts = list(islice(prompt_deck(_DECK), 1 + round(seconds)))
    async with bands.open_bands(spec, sides, Script(LIVE_SESSION, seconds, prompts)) as opened:
        with ExitStack() as stack:
            if not isinstance(spec, bands.File):
                _ask(opened, prompts, stack)
            async with aclosing(bands.UpTo(opened.source, seconds).chunks()) as heard:
                async for chunk in heard:
                    chunks.append(chunk)
                    advance((chunk.first_index + len(chunk.time_s)) / RATE_HZ, seconds)
        return _frames(chunks, filtered=opened.source.info.filtered), opened.simulated


def _ask(opened: Bands, prompts: list[str], stack: ExitStack) -> None:
    """Say what to type, and keep what is typed from the shell behind this program."""
    ui.note("type this, or anything else, with both hands:")
    for prompt in prompts[:_SHOWN]:
        ui.note(f"  {prompt}")
    if opened.keys is None and sys.stdin.isatty():
        stack.enter_context(TerminalKeys(opened.clock))


def _frames(chunks: list[SampleChunk], *, filtered: bool) -> Frames:
    """Log power of what was heard. Raises NotEnoughData where that is nothing."""
    chunks = [chunk for chunk in chunks if len(chunk.time_s)]
    if not chunks:
        raise NotEnoughData("the bands gave no samples; see what is wrong with: qwrist link-test")
    emg_uv = np.concatenate([chunk.emg_uv for chunk in chunks])
    if not filtered:
        highpass = HighPass()
        _, emg_uv = highpass.step(highpass.initial_state(emg_uv[0]), emg_uv)
    spectrogram = LogSpectrogram()
    valid = np.concatenate([chunk.valid for chunk in chunks])
    return spectrogram.step(spectrogram.initial_state(), emg_uv, valid)[1]


def _roll(sitting: list[Seat], user: User, folder: Path) -> Roll:
    by_side = {seat.side: seat.turned for seat in sitting}
    left, right = (by_side.get(side, 0) for side in SIDES)
    newest = newest_recording(user)
    return Roll(measured_s=time.time(), turned=(left, right), model=folder.name, newest=newest)


def _as_json(sitting: list[Seat], doubts: list[str]) -> dict[str, object]:
    found = [
        {
            "side": seat.side,
            "turned": seat.turned,
            "electrodes": round(seat.between, 2),
            "degrees": round(seat.degrees, 1),
            "gain_db": round(seat.gain_db, 1),
            "lost": list(seat.lost),
            "fit": round(seat.fit, 3),
            "margin": round(seat.margin, 3),
        }
        for seat in sitting
    ]
    return {"bands": found, "kept": not doubts, "doubts": doubts}


def _render(sitting: list[Seat], doubts: list[str], user: str) -> None:
    rows = [
        (
            seat.side,
            f"{seat.between:+.1f}",
            f"{seat.degrees:+.0f}",
            f"{seat.gain_db:+.1f}",
            ", ".join(map(str, seat.lost)) or "-",
            f"{seat.fit:.2f}",
            f"{seat.margin:.2f}",
        )
        for seat in sitting
    ]
    columns = ["band", "electrodes", "degrees", "gain dB", "no contact", "fit", "ahead by"]
    ui.table("The bands, against those of training", columns, rows)
    if doubts:
        for doubt in doubts:
            ui.say(doubt)
        ui.say("put the bands on again and repeat this; or teach the model how they sit now, in two minutes:")
        ui.say(f"  qwrist enroll --user {user} --sentences 10")
        ui.say(f"  personalize --user {user} --touch-up")
        return
    turned = ", ".join(f"{seat.side} {seat.turned:+d}" for seat in sitting)
    if all(seat.sits_as_before for seat in sitting):
        ui.say("they sit as they did")
    else:
        ui.say(f"`qwrist type` rolls their electrodes from now on: {turned}")
