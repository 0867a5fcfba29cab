"""`qwrist link-test`: a minute of the link, judged line by line."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import islice
from typing import Annotated, NamedTuple

import typer

from edge.errors import SourceLost
from edge.prompts import prompt_deck
from edge.quality import Severity
from edge.samples import RATE_HZ, SampleChunk, Side
from firmware_bridge.link_test import BEHIND_S, Finding, Heard, gather, judge, worst
from qwrist import bands, ui
from qwrist.bands import Bands, BandSpec, Clock, Script
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import BandOption, parse_sides
from qwrist.verbs.users import AsJson

FAILED = 1
INTERRUPTED = 130  # as the shell has it: 128 and SIGINT
_LONGEST_S = 600.0  # ten minutes of samples are 150 MB
_SESSION = 20_000  # a donning of the simulated wearer that nobody records
_LOOK_S = 0.25  # how often the clock is looked at while nothing comes
_VERDICTS = {
    Severity.OK: "good: nothing stands in the way of typing",
    Severity.WARN: "usable: what is marked will cost keys",
    Severity.FAIL: "not good enough: do first what follows a FAIL above",
}


class Contacts(NamedTuple):
    """Electrodes that had no contact at any time, by link."""

    ever_off: tuple[frozenset[int], ...] = ()

    def seen(self, opened: Bands) -> Contacts:
        """With what the links say now."""
        if opened.pair is None:
            return self
        now = [frozenset(link.lead_off) for link in opened.pair.stats()]
        before = self.ever_off or (frozenset[int](),) * len(now)
        return Contacts(tuple(off | was for off, was in zip(now, before, strict=True)))


def link_test(
    band: BandOption = "ble:",
    seconds: Annotated[float, typer.Option(help="How long to listen.")] = 60.0,
    sides: Annotated[str, typer.Option(help="The bands that are worn: left, right or left,right.")] = (
        "left,right"
    ),
    as_json: AsJson = False,
) -> None:
    """Judge the link: loss, jitter, battery, contact, radio and more. Exit code 1 if it fails.

    Ctrl-C ends it with a verdict on what was heard until then; the exit code is 130.
    """
    check_number("--seconds", seconds, least=1, most=_LONGEST_S)
    spec, worn = bands.parse(band), parse_sides(sides)
    try:
        with ui.progress("listening") as advance:
            heard, interrupted = asyncio.run(_listen(spec, worn, seconds, advance))
    except KeyboardInterrupt:
        ui.note("stopped before anything was heard")
        raise
    findings = judge(heard)
    if as_json:
        ui.emit_json(_as_json(heard, findings) | {"interrupted": interrupted})
    else:
        _render(heard, findings)
    if interrupted:
        ui.note(f"stopped after {heard.duration_s:.1f} of {seconds:g} s: the verdict is of those")
        raise typer.Exit(INTERRUPTED)
    if worst(findings) is Severity.FAIL:
        raise typer.Exit(FAILED)


async def _listen(
    spec: BandSpec, worn: tuple[Side, ...], seconds: float, advance: ui.Advance
) -> tuple[Heard, bool]:
    """Until the time is over or the source is lost, which is a finding too; True where Ctrl-C ended it.

    Raises KeyboardInterrupt, through asyncio.run, where nothing was heard before that.
    """
    chunks: list[SampleChunk] = []
    contacts, lost, interrupted = Contacts(), None, False
    script = Script(_SESSION, seconds, list(islice(prompt_deck(_SESSION), 1 + round(seconds))))
    async with bands.open_bands(spec, worn, script) as opened:
        paced = not isinstance(spec, bands.File)
        begun_s = opened.clock()
        until_s = begun_s + seconds + BEHIND_S.fail if paced else math.inf
        try:
            async for chunk in _before(bands.UpTo(opened.source, seconds).chunks(), opened.clock, until_s):
                chunks.append(chunk)
                index = chunk.first_index + len(chunk.time_s)
                if index // RATE_HZ > chunk.first_index // RATE_HZ:
                    contacts = contacts.seen(opened)
                    advance(index / RATE_HZ, seconds)
        except SourceLost as error:
            lost = str(error)
        except asyncio.CancelledError:  # Ctrl-C
            if not chunks:
                raise
            interrupted = True
        links = opened.pair.stats() if opened.pair else ()
        contacts = contacts.seen(opened)
        first_s = float(chunks[0].time_s[0]) if chunks else begun_s
        passed_s = opened.clock() - first_s if paced else None
        heard = gather(opened.source.info, chunks)._replace(
            links=links, ever_off=contacts.ever_off, lost=lost, passed_s=passed_s
        )
        return heard, interrupted


async def _before(
    chunks: AsyncGenerator[SampleChunk, None], clock: Clock, until_s: float
) -> AsyncGenerator[SampleChunk, None]:
    """What has come before `clock` shows `until_s`; then it ends, though nothing comes any more."""
    async with aclosing(chunks):
        while True:
            coming = asyncio.ensure_future(anext(chunks, None))
            try:
                await asyncio.sleep(0)  # what is there already is taken
                while clock() < until_s and not coming.done():
                    await asyncio.wait([coming], timeout=_LOOK_S)
                if not coming.done() or (chunk := coming.result()) is None:
                    return
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            yield chunk


def _as_json(heard: Heard, findings: tuple[Finding, ...]) -> dict[str, object]:
    return {
        "verdict": worst(findings).name.lower(),
        "seconds": round(heard.duration_s, 3),
        "findings": [finding._asdict() | {"severity": finding.severity.name.lower()} for finding in findings],
        "links": [link._asdict() | {"codec": link.codec.name.lower()} for link in heard.links],
    }


def _render(heard: Heard, findings: tuple[Finding, ...]) -> None:
    rows = [(f.severity.name, f.side or "", f.check, f.figure, f.limit) for f in findings]
    title = f"{heard.info.name}, {heard.duration_s:.1f} s"
    ui.table(title, ["", "band", "what", "figure", "good enough is"], rows, words=5)
    for advice in dict.fromkeys(f"{f.severity.name} {f.check}: {f.advice}" for f in findings if f.advice):
        ui.say(advice)
    ui.say(f"{worst(findings).name}: {_VERDICTS[worst(findings)]}")
