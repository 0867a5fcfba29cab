"""`personalize`: from a user's recordings to their model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge.errors import BadInput
from edge.extras import require
from edge.store import User, UserStore
from personalize import recipe as recipes
from personalize.recipe import Recipe, Start, Way
from qwrist import ui
from qwrist.verbs.personalize_all import personalize_everybody
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from personalize.fit import Personalized
    from personalize.gathering import Recordings
    from personalize.many.job import Order
    from personalize.report import FitReport

_RECIPES = {"base": "finetune", "current": "finetune", "scratch": "streaming"}
_TOUCH_UP: Final = "touch_up"
_WAYS: Final[dict[Way, str]] = {
    "full": "all weights",
    "last": "the last layers",
    "adapters": "adapters, merged into the weights",
    "norm": "the norms alone",
}
_SIMULATED = "simulated wearer: no figure here is a person's"


TouchUp = Annotated[
    bool, typer.Option("--touch-up", help="Teach the model in use the newest recording: ten sentences.")
]


def personalize(
    user: Annotated[str | None, typer.Option("--user", help="Whom; or --all.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every user of the store, each once.")] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="base (ships with qwrist), current (the model in use) or scratch (default: the recipe's).",
        ),
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="Start from the base in this folder, which `qwrist pretrain` wrote.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's name or .yaml file; see `qwrist configs ls`.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="streaming, micro, spatial_lstm, tds or tds_spatial (default: the recipe's)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates (default: the recipe's).")] = None,
    way: Annotated[
        str | None,
        typer.Option(help="full, last, adapters or norm: which weights change (default: the recipe's)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Makes the run repeatable.")] = 0,
    touch_up: TouchUp = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recordings and run the whole chain on 10 s of them.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="With --all: local (processes) or ray (a cluster: RAY_ADDRESS).")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --all: how many at once (default: all cores).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a decoder to a user: the last recording tests, the one before it chooses the epoch."""
    if touch_up:
        recipe = _touching_up(recipe, others=any((everybody, dry_run, start, base)))
    chosen = choose_recipe(_start(start, base), recipe, network, steps, way)
    if everybody:
        if user is not None:
            raise BadInput("--all is every user and --user is one of them; leave one out")
        order = _order(chosen, seed, base, dry_run=dry_run)
        personalize_everybody(order, engine, workers, as_json=as_json)
        return
    if user is None:
        raise BadInput("say whose decoder to fit: --user ID, or --all")
    found = UserStore.default().user(user)
    if dry_run:
        _rehearse(found, chosen, base, as_json=as_json)
        return
    done = _touch_up(found, chosen, seed) if touch_up else fit(found, chosen, seed, base)
    page = _write_page(found, done.folder)
    if as_json:
        paths = {"folder": str(done.folder), "report": str(page)}
        ui.emit_json(done.report.model_dump(mode="json") | paths)
    else:
        ui.facts(f"Personalised for {user}", _summary(done.report) | {"folder": done.folder, "report": page})


def _order(recipe: Recipe, seed: int, base: Path | None, *, dry_run: bool) -> Order:
    from personalize.many.job import Order
    from personalize.many.key import code_hash

    folder = None if base is None else base.resolve()
    return Order(recipe=recipe, seed=seed, base_folder=folder, code=code_hash(), dry_run=dry_run)


def _start(text: str | None, base: Path | None) -> Start | None:
    if base is not None and text not in (None, "base"):
        raise BadInput(f"--base names what --from base starts from, and --from is {text!r}; leave one out")
    match text:
        case None:
            return None if base is None else "base"
        case "base" | "current" | "scratch":
            return text
        case _:
            raise BadInput(f"--from is {text!r}; expected base, current or scratch")


def choose_recipe(
    start: Start | None = None,
    recipe: str | None = None,
    network: str | None = None,
    steps: int | None = None,
    way: str | None = None,
) -> Recipe:
    """The recipe that is named or fits, with what the command line overrides. Raises BadInput."""
    live = network in (None, "streaming", "micro")
    default = _RECIPES[start or "base"] if live else "paper"
    changes = {"start": start, "network": network, "steps": steps, "way": way}
    loaded = recipes.load(recipe or default)
    return recipes.override(loaded, {name: value for name, value in changes.items() if value is not None})


def fit(user: User, recipe: Recipe, seed: int = 0, base: Path | None = None) -> Personalized:
    """Personalise with a progress bar. Raises NotEnoughData, BadInput, TrainingFailed."""
    require("torch", "train")
    from personalize.fit import personalize_user
    from personalize.resume import kept_steps

    try:
        with ui.progress(f"training {recipe.network}") as advance:
            return personalize_user(
                user,
                recipe,
                base_folder=base,
                seed=seed,
                progress=lambda step, total, loss: advance(step, total, f"loss {loss:.2f}"),
            )
    except KeyboardInterrupt:
        steps = kept_steps(user.scratch("unfinished"))
        ui.note(
            f"stopped; {steps} steps of training are kept, and the same command goes on from there"
            if steps
            else "stopped before anything was worth keeping; the same command starts anew"
        )
        raise


def _touching_up(recipe: str | None, *, others: bool) -> str:
    if others:
        raise BadInput("--touch-up is of the model in use; leave --all, --from, --base and --dry-run out")
    return recipe or _TOUCH_UP


def _touch_up(user: User, recipe: Recipe, seed: int) -> Personalized:
    require("torch", "train")
    from personalize.touch_up import touch_up

    with ui.progress("touching up") as advance:
        return touch_up(
            user,
            recipe,
            seed=seed,
            progress=lambda step, total, loss: advance(step, total, f"loss {loss:.2f}"),
        )


def _write_page(user: User, folder: Path) -> Path:
    from personalize.html_report.page import write_page

    ui.note("listening once more for the report")
    return write_page(user, folder)


def _rehearse(user: User, recipe: Recipe, base: Path | None, *, as_json: bool) -> None:
    """Announce the run, refuse what training would, and run every stage briefly, export included."""
    require("torch", "train")
    from personalize.checks import refuse
    from personalize.fit import personalize_user
    from personalize.gathering import gather
    from personalize.rehearsal import briefly, rehearsal_user
    from qwrist.verbs.exports import lower

    recordings = gather(user)
    recipe = recipes.for_minutes(recipe, recordings.minutes("train"))
    if not as_json:
        _announce(recordings, recipe)
    refuse(recordings.findings)
    with rehearsal_user(user) as stand_in:
        done = personalize_user(stand_in, briefly(recipe), base_folder=base, least_s=1.0)
        if stand_in.current() != done.folder:
            stand_in.promote(int(done.folder.name))
        compared = lower(stand_in, done.folder).runtimes
    artifacts = sorted({found.file for found in compared if found.file is not None})
    if as_json:
        roles = [
            {"session": p.name, "role": p.role, "minutes": round(p.minutes, 2)} for p in recordings.parts
        ]
        findings = [asdict(found) | {"severity": found.severity.name} for found in recordings.findings]
        ui.emit_json(
            {
                "recipe": recipe.model_dump(mode="json"),
                "parts": roles,
                "findings": findings,
                "exported": artifacts,
            }
        )
    else:
        ui.note(f"the whole chain ran on ten seconds, export included ({', '.join(artifacts)})")
        ui.note("nothing was kept of it")


def _announce(recordings: Recordings, recipe: Recipe) -> None:
    rows = [(part.name, part.role, f"{part.minutes:.1f}") for part in recordings.parts]
    title = f"{recipe.network} from {recipe.start}, {_WAYS[recipe.way]}, {recipe.steps} steps"
    ui.table(title, ["session", "role", "min"], rows)
    for found in recordings.findings:
        ui.note(f"{found.severity.name}: {found.session}: {found.text}")


def _summary(report: FitReport) -> dict[str, object]:
    test = report.test
    facts: dict[str, object] = {
        "network": f"{report.network}, {report.parameters:,} parameters, from {report.start}",
        "minutes": ", ".join(
            f"{report.minutes(role):.1f} {role}" for role in ("train", "validation", "test")
        ),
        "steps": f"{report.steps}, best at {report.best_step}, {report.wall_time_s:.0f} s",
        "trained": _trained(report),
        "validation CER": f"{report.validation.percent:.1f} %",
        "test CER": f"{test.percent:.1f} % of {test.length} keys "
        f"({test.insertions} inserted, {test.deletions} missed, {test.substitutions} wrong)",
        "in use": _in_use(report),
    }
    if report.outlook is not None:
        facts["outlook"] = report.outlook.text
    if report.base is not None and report.base.leak is not None:
        facts["beware"] = report.base.leak
    if report.alignment:
        last = report.alignment[-1]
        rounds = f"{len(report.alignment)} round{'s' if len(report.alignment) > 1 else ''}"
        facts["prompts"] = f"key times found for {last.usable} of {last.prompts}, in {rounds} of alignment"
    if report.touch_up is not None:
        touched = report.touch_up
        facts["sentences"] = (
            f"{touched.after.percent:.1f} % of {touched.sentences} in {touched.session}, each read untaught; "
            f"{touched.before.percent:.1f} % before"
        )
    if report.findings:
        facts["recordings"] = "; ".join(report.findings)
    if report.test_before is not None:
        facts["test CER before"] = f"{report.test_before.percent:.1f} %"
    if report.simulated:
        facts["note"] = _SIMULATED
    return facts


def _trained(report: FitReport) -> str:
    way = _WAYS[report.recipe.way]
    return f"{way}, as is best for so many minutes" if report.picked_by_minutes else way


def _in_use(report: FitReport) -> str:
    answer = "yes" if report.promoted else "no, the model before stays"
    return answer if report.gate is None else f"{answer}: {report.gate.reason}"
