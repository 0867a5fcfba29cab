"""`qwrist link-test`: a minute of the link, judged line by line."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated, NamedTuple

import typer

from edge.errors import SourceLost
from edge.prompts import prompt_deck
from edge.quality import Severity
from edge.samples import RATE_HZ, SampleChunk, Side
from firmware_bridge.link_test import Finding, Heard, gather, judge, worst
from qwrist import bands, ui
from qwrist.bands import Bands, BandSpec, Script
from qwrist.verbs.numbers import check_number
from qwrist.verbs.record import BandOption, parse_sides
from qwrist.verbs.users import AsJson

FAILED = 1
_LONGEST_S = 600.0  # ten minutes of samples are 150 MB
_SESSION = 20_000  # a donning of the simulated wearer that nobody records
_VERDICTS = {
    Severity.OK: "good: nothing stands in the way of typing",
    Severity.WARN: "usable: what is marked will cost keys",
    Severity.FAIL: "not good enough: do first what is said beside FAIL",
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
    """Judge the link: loss, jitter, battery, contact, radio and more. Exit code 1 if it fails."""
    check_number("--seconds", seconds, least=1, most=_LONGEST_S)
    spec, worn = bands.parse(band), parse_sides(sides)
    with ui.progress("listening") as advance:
        heard = asyncio.run(_listen(spec, worn, seconds, advance))
    findings = judge(heard)
    if as_json:
        ui.emit_json(_as_json(heard, findings))
    else:
        _render(heard, findings)
    if worst(findings) is Severity.FAIL:
        raise typer.Exit(FAILED)


async def _listen(spec: BandSpec, worn: tuple[Side, ...], seconds: float, advance: ui.Advance) -> Heard:
    """Until the time is over or the source is lost: that is a finding too."""
    chunks: list[SampleChunk] = []
    contacts, lost = Contacts(), None
    script = Script(_SESSION, seconds, list(islice(prompt_deck(_SESSION), 1 + round(seconds))))
    async with bands.open_bands(spec, worn, script) as opened:
        try:
            async for chunk in bands.UpTo(opened.source, seconds).chunks():
                chunks.append(chunk)
                index = chunk.first_index + len(chunk.time_s)
                if index // RATE_HZ > chunk.first_index // RATE_HZ:
                    contacts = contacts.seen(opened)
                    advance(index / RATE_HZ, seconds)
        except SourceLost as error:
            lost = str(error)
        links = opened.pair.stats() if opened.pair else ()
        contacts = contacts.seen(opened)
        heard = gather(opened.source.info, chunks)
        return heard._replace(links=links, ever_off=contacts.ever_off, lost=lost)


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
    for advice in dict.fromkeys(f"{f.check}: {f.advice}" for f in findings if f.advice):
        ui.say(advice)
    ui.say(f"{worst(findings).name}: {_VERDICTS[worst(findings)]}")
