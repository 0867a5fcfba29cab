"""`qwrist pretrain`: a base from many people's recordings, of emg2qwerty or of simulated wearers."""

from __future__ import annotations

import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge.errors import BadInput
from edge.extras import require
from edge.files import made_folder
from edge.session import read_session
from personalize import recipe as recipes
from personalize.base_users import BASE_USERS
from personalize.emg2qwerty.files import Download, open_download
from personalize.emg2qwerty.splits import Listed, Split, find_split
from personalize.recording import Person, Recording
from qwrist import ui
from qwrist.verbs.simulated import simulated_recordings
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from personalize.base import BaseCard

_VALIDATION_WEARERS: Final = 4  # the last of those asked for; as the shipped base
_SHARE_OF_MEMORY: Final = 0.6  # the rest is for training itself, and for everybody else
_MEMORY_UNKNOWN: Final = 8 << 30  # bytes, where the system does not say


def pretrain(
    out: Annotated[Path, typer.Option(help="The folder of the base, to be made or added to.")],
    folder: Annotated[
        Path | None, typer.Argument(help="emg2qwerty's folder; without one, wearers are simulated.")
    ] = None,
    split: Annotated[str, typer.Option(help="generic, or a .yaml file of its config/user.")] = "generic",
    network: Annotated[
        str, typer.Option(help="streaming, micro, spatial_lstm, tds or tds_spatial.")
    ] = "streaming",
    recipe: Annotated[str | None, typer.Option(help="A recipe (default: the network's own).")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates.")] = 2500,
    minutes: Annotated[float, typer.Option(min=0.5, max=120, help="Of each recording, at most.")] = 3.0,
    wearers: Annotated[
        int, typer.Option(min=_VALIDATION_WEARERS + 1, max=len(BASE_USERS), help="How many, if simulated.")
    ] = len(BASE_USERS),
    difficulty: Annotated[str, typer.Option(help="How hard they are to read, if simulated.")] = "mid",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Makes the run repeatable.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would train it, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a base on many people, to fit anybody's decoder from; its card names whom it has met."""
    require("torch", "train")
    from personalize import base
    from personalize.pretrain import People, check_people
    from personalize.pretrain import pretrain as train_base

    settings = recipes.override(
        recipes.load(recipe or _recipe(network)), {"network": network, "steps": steps, "start": "scratch"}
    )
    if folder is None:
        numbers = BASE_USERS[:wearers]
        people = People(*_simulated(numbers, difficulty, minutes))
        trained, chosen = numbers[:-_VALIDATION_WEARERS], numbers[-_VALIDATION_WEARERS:]
        whose = {"users": tuple(trained), "validation_users": tuple(chosen), "difficulties": (difficulty,)}
    else:
        people = People(*_downloaded(open_download(folder), split))
        whose = {"people": people.met}
    check_people(people, minutes, _memory_bytes())
    if dry_run:
        _announce(people, as_json=as_json)
        return
    made_folder(out)  # a wrong name is to be known before hours are spent
    with ui.steps("reading") as reading, ui.progress(f"training {network}") as advance:
        made = train_base(
            people,
            settings,
            seed=seed,
            minutes_each=minutes,
            reading=reading,
            progress=lambda step, total, loss: advance(step, total, f"loss {loss:.2f}"),
        )
    card = made.card(command=shlex.join(["qwrist", *sys.argv[1:]]), seed=seed, **whose)
    base.write(made.network, card, out)
    _render(base.card(network, out), out, as_json=as_json)


def _recipe(network: str) -> str:
    return network if network in ("streaming", "micro") else "paper"


def _simulated(
    numbers: Sequence[int], difficulty: str, minutes: float
) -> tuple[tuple[Person, ...], tuple[Person, ...]]:
    people = tuple(
        Person(f"sim-{number}", simulated_recordings(number, difficulty, 2, minutes)) for number in numbers
    )
    return people[:-_VALIDATION_WEARERS], people[-_VALIDATION_WEARERS:]


def _downloaded(
    download: Download, name: str
) -> tuple[tuple[Person, ...], tuple[Person, ...], tuple[Person, ...]]:
    split = find_split(name, download.folder, download.listed)
    absent = [listed.session for listed in split.sessions if listed.session not in download.files]
    if absent:
        ui.note(
            f"{len(absent)} recordings of {name} are not in {download.folder}; the base is made without them"
        )
    if split.test and not _strangers(split):
        raise BadInput(f"{name} is one person's split; a base is made of many: --split generic")
    train, validation, test = (
        _people(download, part) for part in (split.train, split.validation, split.test)
    )
    return train, validation, test


def _strangers(split: Split) -> bool:
    return not split.training_users & {listed.user for listed in split.test}


def _people(download: Download, listed: Sequence[Listed]) -> tuple[Person, ...]:
    of_user: defaultdict[str, list[Recording]] = defaultdict(list)
    for one in listed:
        if (path := download.files.get(one.session)) is not None:
            recording = Recording(one.session, one.session, lambda path=path: read_session(path))  # type: ignore[misc]
            of_user[one.user].append(recording)
    return tuple(Person(user, tuple(of_user[user])) for user in sorted(of_user))


def _memory_bytes() -> int:
    """What frames may take of this computer's memory."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        whole = _MEMORY_UNKNOWN
    return round(_SHARE_OF_MEMORY * whole)


def _announce(people: Sequence[Sequence[Person]], *, as_json: bool) -> None:
    roles = ("train", "validation", "test")
    found = {
        role: {person.id: len(person.recordings) for person in part}
        for role, part in zip(roles, people, strict=True)
    }
    if as_json:
        ui.emit_json(found)
        return
    rows = [(role, len(of), sum(of.values()), ", ".join(of)[:80]) for role, of in found.items()]
    ui.table("Whom the base would be made of", ["", "people", "recordings", "who"], rows)


def _render(card: BaseCard, out: Path, *, as_json: bool) -> None:
    if as_json:
        ui.emit_json(card.model_dump(mode="json", exclude={"normalization"}) | {"folder": str(out)})
        return
    strangers = ", ".join(f"{who} {cer:g} %" for who, cer in card.zero_shot_cer_percent.items())
    facts = {
        "network": card.network,
        "trained on": f"{len(card.people or card.users)} people, {card.minutes:g} min, {card.steps} steps",
        "validation CER": f"{card.validation_cer_percent:g} % at step {card.best_step}",
        "strangers, as it is": strangers or "none were tested",
        "folder": out,
    }
    if card.users:
        facts["note"] = "simulated wearers: no figure here is a person's"
    ui.facts("Base", facts)
