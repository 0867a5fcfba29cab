"""Scripts for virtual bands: what goes wrong with which band, and when. docs/guides/virtual-bands.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self, assert_never

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.errors import BadInput
from edge.samples import ELECTRODES, RATE_HZ, SIDES, Side

_PACKAGE: Final = "configs.bands"
_DIGIT: Final = 9  # a band's name holds its protocol in one digit

Seconds = Annotated[float, Field(ge=0, le=86_400)]  # a day
Percent = Annotated[float, Field(ge=0, le=100)]
Electrode = Annotated[int, Field(ge=0, lt=ELECTRODES)]


# What a step does to a band.


class Leave(NamedTuple):
    """Out of reach: the link is gone, the band is not heard, its samples go on."""


class Return(NamedTuple):
    """In reach again: the band advertises."""


class Restart(NamedTuple):
    """Another boot: the next number, index and sequence from 0."""


class Mistreat(NamedTuple):
    """What share of the notifications from now on is lost after sending, sent twice, damaged."""

    kind: Literal["loss", "duplicate", "corrupt"]
    percent: float


class Discharge(NamedTuple):
    """The battery stands at `percent` and loses `per_min` from now on."""

    percent: float
    per_min: float


class LoseContact(NamedTuple):
    """These electrodes touch nothing, all others do."""

    electrodes: frozenset[int]


class Drift(NamedTuple):
    """The crystal runs `ppm` too fast from now on."""

    ppm: float


class Radio(NamedTuple):
    """Connection events: how often, how many link-layer PDUs each, how many fail and are sent again."""

    interval_ms: float
    pdus: int
    error_percent: float


Change = Leave | Return | Restart | Mistreat | Discharge | LoseContact | Drift | Radio


class Step(NamedTuple):
    """A change, when and to whom."""

    tick: int  # samples of true time since the source's first
    side: Side
    change: Change


# What a file says.


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Event(_Document):
    at_s: Seconds  # after the source's first sample, which is taken when the bands have started
    side: Side | Literal["both"] = "both"


class DropEvent(_Event):
    """The link breaks; the band is heard again `away_s` later, in the same boot."""

    what: Literal["drop"] = "drop"
    away_s: Seconds


class RebootEvent(_Event):
    """The band resets at once and is heard again `away_s` later."""

    what: Literal["reboot"] = "reboot"
    away_s: Seconds


class MistreatEvent(_Event):
    """For a time, notifications are lost without the band's knowing, come twice, or come damaged."""

    what: Literal["loss", "duplicate", "corrupt"]
    percent: Percent
    for_s: Seconds


class BatteryEvent(_Event):
    """The battery's level, and how fast it falls."""

    what: Literal["battery"] = "battery"
    percent: Percent
    drain_percent_per_min: float = Field(default=0.0, ge=0)


class LeadOffEvent(_Event):
    """Electrodes lose contact for a time: the status says so, and their samples go to the rail."""

    what: Literal["lead_off"] = "lead_off"
    electrodes: tuple[Electrode, ...]
    for_s: Seconds


class DriftEvent(_Event):
    """The crystal's error from then on."""

    what: Literal["drift"] = "drift"
    ppm: float = Field(ge=-1000, le=1000)  # crystals are better than 100; the rest is for tests


class IntervalEvent(_Event):
    """The connection's events from then on: the paced controller."""

    what: Literal["interval"] = "interval"
    interval_ms: float = Field(ge=7.5, le=4000)  # Bluetooth Core 5.4, Vol 6, Part B, 4.5.1
    pdus: int = Field(ge=1, le=64)
    error_percent: float = Field(default=0.0, ge=0, lt=100)


Event = Annotated[
    DropEvent | RebootEvent | MistreatEvent | BatteryEvent | LeadOffEvent | DriftEvent | IntervalEvent,
    Field(discriminator="what"),
]


class Claims(_Document):
    """What a band says of itself instead of the truth."""

    version: int | None = Field(default=None, ge=0, le=_DIGIT)
    side: Side | None = None
    rate_hz: int | None = Field(default=None, ge=0, le=0xFFFF)


class Script(_Document):
    """What happens to virtual bands; the same seed gives the same bytes."""

    name: str = "script"
    seed: int = Field(default=0, ge=0)
    left: Claims = Claims()
    right: Claims = Claims()
    events: tuple[Event, ...] = ()

    @model_validator(mode="after")
    def _one_at_a_time(self) -> Self:
        for side in SIDES:
            kinds = {_kind(event) for event in self.events}
            for kind in kinds:
                spans = sorted(_spans(self.events, side, kind))
                for (_, until_s), (at_s, _) in pairwise(spans):
                    if at_s < until_s:
                        raise ValueError(
                            f"two events of kind {kind} overlap at {at_s:g} s on the {side} band; "
                            f"the first lasts until {until_s:g} s"
                        )
        return self

    def claims(self, side: Side) -> Claims:
        """What the band of `side` says of itself."""
        return self.left if side == "left" else self.right

    def steps(self) -> list[Step]:
        """The changes, in order."""
        steps = [
            Step(round(at_s * RATE_HZ), side, change)
            for event in sorted(self.events, key=lambda event: event.at_s)
            for side in _sides(event)
            for at_s, change in _changes(event)
        ]
        return sorted(steps, key=lambda step: step.tick)  # stable: what ends before what begins


NO_SCRIPT: Final = Script()


def _sides(event: _Event) -> tuple[Side, ...]:
    return SIDES if event.side == "both" else (event.side,)


def _kind(event: Event) -> str:
    return "drop or reboot" if isinstance(event, DropEvent | RebootEvent) else event.what


def _spans(events: Sequence[Event], side: Side, kind: str) -> Iterator[tuple[float, float]]:
    """From when until when events of a kind last on a band."""
    for event in events:
        if side in _sides(event) and _kind(event) == kind:
            yield event.at_s, max(at_s for at_s, _ in _changes(event))


def _changes(event: Event) -> list[tuple[float, Change]]:
    match event:
        case DropEvent(at_s=at_s, away_s=away_s):
            return [(at_s, Leave()), (at_s + away_s, Return())]
        case RebootEvent(at_s=at_s, away_s=away_s):
            return [(at_s, Leave()), (at_s, Restart()), (at_s + away_s, Return())]
        case MistreatEvent(at_s=at_s, what=kind, percent=percent, for_s=for_s):
            return [(at_s, Mistreat(kind, percent)), (at_s + for_s, Mistreat(kind, 0.0))]
        case BatteryEvent(at_s=at_s, percent=percent, drain_percent_per_min=per_min):
            return [(at_s, Discharge(percent, per_min))]
        case LeadOffEvent(at_s=at_s, electrodes=electrodes, for_s=for_s):
            return [(at_s, LoseContact(frozenset(electrodes))), (at_s + for_s, LoseContact(frozenset()))]
        case DriftEvent(at_s=at_s, ppm=ppm):
            return [(at_s, Drift(ppm))]
        case IntervalEvent(at_s=at_s, interval_ms=interval_ms, pdus=pdus, error_percent=error_percent):
            return [(at_s, Radio(interval_ms, pdus, error_percent))]
        case _:
            assert_never(event)


def describe(change: Change) -> str:
    """What happens, in words."""
    match change:
        case Leave():
            return "out of reach"
        case Return():
            return "in reach again"
        case Restart():
            return "restarts"
        case Mistreat(kind, percent):
            return f"{kind} {percent:g} %"
        case Discharge(percent, per_min):
            return f"battery at {percent:g} %, falling {per_min:g} % a minute"
        case LoseContact(electrodes):
            return f"no contact at electrodes {sorted(electrodes)}" if electrodes else "contact everywhere"
        case Drift(ppm):
            return f"crystal {ppm:+g} ppm"
        case Radio(interval_ms, pdus, error_percent):
            return f"connection events every {interval_ms:g} ms, {pdus} PDUs each, {error_percent:g} % errors"
        case _:
            assert_never(change)


def names() -> list[str]:
    """The scripts that come with qwrist."""
    files = resources.files(_PACKAGE).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load(name_or_file: str | Path) -> Script:
    """Read a script: a name from `names()`, or a .yaml file. Raises BadInput."""
    named = str(name_or_file) in names()
    file = (
        Path(str(resources.files(_PACKAGE).joinpath(f"{name_or_file}.yaml"))) if named else Path(name_or_file)
    )
    try:
        return Script.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {error.strerror}; name a .yaml file, or one of {', '.join(names())}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{file} is not a script for bands: {where}: {first['msg']}; see docs/guides/virtual-bands.md"
        ) from None
