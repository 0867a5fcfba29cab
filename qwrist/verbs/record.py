"""`qwrist enroll` and `check`: recording somebody, and judging what was recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edge.enroll import AtPace, Enrollment, Progress, WhenDone, resuming
from edge.enroll import enroll as run_enrolment
from edge.errors import BadInput, NotEnoughData
from edge.keys import TerminalKeys
from edge.prompts import prompt_deck
from edge.quality import Severity, Verdict
from edge.quality import check as judge
from edge.recording import Heading, Recorder
from edge.samples import SIDES, KeySource, Side
from edge.sealing import recover
from edge.session import ENTER_MARK, LONGEST_S, ON_KEYBOARD, PROMPTED, read_session
from edge.session_layout import Plan
from edge.store import User, UserStore
from edge.unfinished import LONGEST_AWAY_S, Unfinished, check_same, unfinished
from qwrist import bands, ui
from qwrist.bands import Bands, BandSpec, EnterSwitch, Script
from qwrist.verbs.numbers import check_number
from qwrist.verbs.recover import in_words
from qwrist.verbs.users import AsJson, UserId

if TYPE_CHECKING:
    from firmware_bridge.pair import LinkStats

FAILED = 1
MINUTES = 5.0  # that are recorded where nobody says how many
_SLOWEST_S = 60.0  # a character: slower than anybody spells, with a switch and a scanning keyboard too
_SENTENCES_A_MINUTE = 3  # 45 characters in 20 s: who types slower says --minutes
_MOST_SENTENCES = 1000
_PROMPTS_A_MINUTE = 40  # more than anybody types: 25 characters in 1.5 s

BandOption = Annotated[str, typer.Option("--band", help=bands.HELP)]
LiveBandOption = Annotated[str, typer.Option("--band", help=bands.LIVE_HELP)]


class Wish(NamedTuple):
    """What to record."""

    minutes: float
    sides: tuple[Side, ...] = SIDES
    keyboard: bool = True
    seconds_per_character: float = 0.5
    sentences: int | None = None  # at most; None: as many as the minutes hold
    resumed: Unfinished | None = None  # what is gone on with; `minutes` are then what is left of it


class Recorded(NamedTuple):
    """A recording, what its links counted, and how long it took."""

    enrollment: Enrollment
    links: tuple[LinkStats, ...]
    wall_s: float
    before_s: float = 0.0  # that were recorded of the session before

    @property
    def speed(self) -> float:
        """Seconds recorded a second of waiting."""
        return self.enrollment.progress.recorded_s / self.wall_s


def enroll(
    user: UserId,
    band: LiveBandOption = "ble:",
    minutes: Annotated[
        float | None, typer.Option(help=f"How long to record, in all.  [default: {MINUTES:g}]")
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(min=1, max=_MOST_SENTENCES, help="How many prompts to show, at most.")
    ] = None,
    sides: Annotated[
        str | None, typer.Option(help="The bands worn: left, right or left,right.  [default: left,right]")
    ] = None,
    prompts_alone: Annotated[
        bool, typer.Option("--prompts-alone", help="No keyboard: the prompts say what was meant.")
    ] = False,
    seconds_per_character: Annotated[
        float, typer.Option(help="The pace of prompts where there is no keyboard.")
    ] = 0.5,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last session, which was broken off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record a session: connect the bands, show prompts, keep what the muscles do."""
    check_number("--minutes", minutes, most=LONGEST_S / 60)
    check_number("--seconds-per-character", seconds_per_character, most=_SLOWEST_S)
    worn = None if sides is None else parse_sides(sides)
    lasting = MINUTES if sentences is None else sentences / _SENTENCES_A_MINUTE
    wish = Wish(minutes or lasting, worn or SIDES, not prompts_alone, seconds_per_character, sentences)
    if resume and sentences is not None:
        raise BadInput("--resume goes on with a session, and --sentences begins one; leave one out")
    spec = bands.parse(band)
    if isinstance(spec, bands.File):
        raise BadInput(
            "a file is recorded already, with prompts of its own; copy it into the user's sessions folder "
            "instead (docs/guides/real-bands.md)"
        )
    with _existing_or_new(UserStore.default(), user, must_exist=resume) as found:
        seal_leftovers(found)
        if resume:
            wish = _resumed(found, minutes, worn, prompts_alone=prompts_alone)._replace(
                seconds_per_character=seconds_per_character
            )
        recorded = record(found, spec, wish)
    _report(user, recorded, as_json=as_json)


def _report(user: str, recorded: Recorded, *, as_json: bool) -> None:
    _, ended, counted = recorded.enrollment
    if not counted.prompts and not counted.keys:
        ui.note("nothing was typed in it: record for longer, or remove the file")
    result: dict[str, object] = {
        "session": str(recorded.enrollment.path),
        "ended": ended.value,
        "recorded_s": round(counted.recorded_s, 3),
        "in_all_s": round(recorded.before_s + counted.recorded_s, 3),
        "prompts": counted.prompts,
        "keys": counted.keys,
        "missing_percent": round(100 * counted.missing, 3),
        "speed": round(recorded.speed, 2),
    }
    if as_json:
        links = [link._asdict() | {"codec": link.codec.name.lower()} for link in recorded.links]
        ui.emit_json(result | {"links": links})
    else:
        bands_in_words = {f"{link.side} band": _in_words(link) for link in recorded.links}
        ui.facts(f"Recorded for {user}", result | bands_in_words)


def _in_words(link: LinkStats) -> str:
    return (
        f"{link.packets} packets, {link.lost} lost, {link.duplicates} twice, {link.refused} refused; "
        f"{link.missing_samples} samples missing, {link.repeated_samples} repeated; "
        f"battery {link.battery_percent} %"
    )


def parse_sides(text: str) -> tuple[Side, ...]:
    """`left`, `right` or `left,right`. Raises BadInput."""
    wanted = set(text.split(","))
    if not wanted or not wanted <= set(SIDES):
        raise BadInput(f"--sides is {text!r}; expected left, right or left,right")
    return tuple(side for side in SIDES if side in wanted)


def _resumed(
    user: User, minutes: float | None, sides: tuple[Side, ...] | None, *, prompts_alone: bool
) -> Wish:
    """What is left of the last session. Raises BadInput where nothing is, or other things are asked for."""
    sessions = user.sessions()
    if not sessions:
        raise BadInput(f"nothing was recorded of {user.id} that could be gone on with; leave --resume out")
    left = unfinished(sessions[-1], None if minutes is None else 60 * minutes, time.time())
    keyboard = left.heading.condition == ON_KEYBOARD and not prompts_alone
    asked = left.heading.model_copy(
        update={
            "sides": sides or left.heading.sides,
            "condition": ON_KEYBOARD if keyboard else PROMPTED,
        }
    )
    check_same(left.heading, asked)  # before any band is looked for
    there = f"{left.recorded_s:.0f} of {left.plan.wanted_s:.0f} s are there"
    ui.note(f"going on with {left.path}: {there}, {len(left.performed)} prompts are performed")
    return Wish(left.left_s / 60, left.heading.sides, keyboard, resumed=left)


def record(user: User, spec: BandSpec, wish: Wish) -> Recorded:
    """Record one session of `user`. Raises what the source raises; what was recorded until then is kept."""
    path = wish.resumed.path if wish.resumed else user.session_path(user.new_session_name())
    started_s = time.monotonic()
    try:
        with ui.progress(f"recording {path.stem}") as advance:
            enrollment, links = asyncio.run(_record(path, user, spec, wish, advance))
    except KeyboardInterrupt:
        ui.note(
            f"stopped; what was recorded is in {path}; within {LONGEST_AWAY_S // 60} minutes you can go on "
            f"with: {resuming(user.id)}"
            if path.exists()
            else "stopped; nothing was recorded"
        )
        raise
    before_s = wish.resumed.recorded_s if wish.resumed else 0.0
    return Recorded(enrollment, links, time.monotonic() - started_s, before_s)


async def _record(
    path: Path, user: User, spec: BandSpec, wish: Wish, advance: ui.Advance
) -> tuple[Enrollment, tuple[LinkStats, ...]]:
    before = wish.resumed
    plan = before.plan if before else Plan(deck=len(user.sessions()), wanted_s=60 * wish.minutes)
    performed = before.performed if before else frozenset()
    deck = (prompt for prompt in prompt_deck(plan.deck) if prompt not in performed)
    prompts = list(islice(deck, wish.sentences or round(wish.minutes * _PROMPTS_A_MINUTE) + 1))
    script = Script(plan.deck, 60 * wish.minutes, prompts)

    def report(now: Progress) -> None:
        note = f"{now.prompts} prompts, {now.keys} keys, {100 * now.missing:.1f} % lost  {now.typed[-30:]}"
        advance(now.recorded_s, 60 * wish.minutes, note)

    async with bands.open_bands(spec, wish.sides, script) as opened:
        with ExitStack() as stack:
            keys, ending = _truth(opened, wish, stack)
            info = opened.source.info
            heading = Heading(
                name=before.heading.name if before else f"{user.id}-{path.stem}",
                user=user.id,
                condition=PROMPTED if keys is None else ON_KEYBOARD,
                sides=info.sides,
                filtered=info.filtered,
                simulated=opened.simulated,
                rate_hz=info.rate_hz,
                source=_name_of(opened, spec),
                plan=plan,
                continues=before.heading.continues if before else None,
            )
            if before:
                check_same(before.heading, heading)
            enrollment = await run_enrolment(
                opened.source,
                keys,
                iter(prompts),
                Recorder(path, heading),
                _show,
                ending=ending,
                max_s=60 * wish.minutes,
                progress=report,
            )
            return enrollment, opened.pair.stats() if opened.pair else ()


def _name_of(opened: Bands, spec: BandSpec) -> str:
    """Which bands these are, and on whom where the wearer is simulated."""
    wearer = f"simulated wearer {spec.wearer}, " if isinstance(spec, bands.Sim) else ""
    return wearer + opened.source.info.name


def _truth(opened: Bands, wish: Wish, stack: ExitStack) -> tuple[KeySource | None, AtPace | WhenDone]:
    """Where keys come from, and what ends a prompt if they come from nowhere."""
    pace = AtPace(characters_per_s=1 / wish.seconds_per_character)
    if wish.keyboard:
        return opened.keys or stack.enter_context(TerminalKeys(opened.clock)), pace
    if opened.keys is not None:
        return None, WhenDone(EnterSwitch(opened.keys), mark=ENTER_MARK)
    return None, pace


def _show(prompt: str) -> None:
    ui.note(f"  {prompt}")


def seal_leftovers(user: User) -> None:
    """Seal the recordings that were interrupted, and say so."""
    for journal in user.journals():
        try:
            ui.note(in_words(recover(journal)))
        except NotEnoughData as nothing:
            ui.note(str(nothing))


@contextmanager
def _existing_or_new(store: UserStore, user_id: str, *, must_exist: bool) -> Iterator[User]:
    """The user; a new one is only kept if something was recorded."""
    if must_exist or user_id in store.users():
        yield store.user(user_id)
        return
    user = store.create(user_id)
    try:
        yield user
    finally:
        if not user.sessions() and not user.journals():
            store.forget(user_id)


def check(
    session: Annotated[Path | None, typer.Argument(help="A session file.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="All recordings of this user instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge recordings: contact, mains, clipping, loss, keys against prompts. Exit code 1 if one fails."""
    if (session is None) == (user is None):
        raise BadInput("name a session file or a --user, one of the two")
    paths = [session] if session is not None else _recordings(UserStore.default().user(str(user)))
    found = [(path, verdict) for path in paths for verdict in judge(read_session(path))]
    if as_json:
        ui.emit_json([_as_json(path, verdict) for path, verdict in found])
    else:
        for path in paths:
            _render(path, [verdict for of, verdict in found if of == path])
    if any(verdict.severity is Severity.FAIL for _, verdict in found):
        raise typer.Exit(FAILED)


def _recordings(user: User) -> list[Path]:
    """What there is to judge; names what is not. Raises BadInput where there is nothing."""
    paths, unsealed = user.sessions(), user.unsealed()
    if not paths:
        raise BadInput(unsealed or f"{user.id} has no recording yet; run: qwrist enroll --user {user.id}")
    if unsealed:
        ui.note(f"not judged: {unsealed}")
    return paths


def _as_json(path: Path, verdict: Verdict) -> dict[str, object]:
    return {
        "session": str(path),
        "check": verdict.check,
        "severity": verdict.severity.name.lower(),
        "figure": verdict.figure,
        "meaning": verdict.meaning,
        "advice": verdict.advice,
        "side": verdict.side,
        "electrode": verdict.electrode,
    }


def _render(path: Path, verdicts: list[Verdict]) -> None:
    rows = []
    for verdict in verdicts:
        where = " ".join(str(part) for part in (verdict.side, verdict.electrode) if part is not None)
        rows.append((verdict.severity.name.lower(), verdict.check, where, verdict.figure))
    ui.table(str(path), ["", "check", "where", "figure"], rows, words=4)
    remarks = {
        f"{verdict.check}: {verdict.meaning}; {verdict.advice}"
        for verdict in verdicts
        if verdict.severity is not Severity.OK
    }
    for remark in sorted(remarks):
        ui.say(remark)
