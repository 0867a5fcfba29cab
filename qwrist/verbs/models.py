"""`personalize`, `evaluate`: from recordings to a model, and how well it reads."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge.decoder import decode_all
from edge.errors import BadInput
from edge.extras import require
from edge.manifest import ModelManifest, read_manifest
from edge.session import Session, read_session
from edge.store import User, UserStore
from personalize import recipe as recipes
from personalize.recipe import Recipe, Start
from qwrist import ui
from qwrist.verbs.decoding import BeamOption, LmOption, NoLm, VocabularyOption, decoder_for
from qwrist.verbs.users import AsJson, UserId

if TYPE_CHECKING:
    from edge.runtimes import Runtime
    from personalize.fit import Personalized, Recordings
    from personalize.report import FitReport

FAILED = 1
_RECIPES = {"base": "finetune", "current": "finetune", "scratch": "streaming"}
_SIMULATED = "simulated wearer: no figure here is a person's"

RuntimeName = Literal["torch", "executorch", "litert"]
ModelOption = Annotated[int | None, typer.Option("--model", help="A model's number (default: the current).")]


def personalize(
    user: UserId,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="base (ships with qwrist), current (the model in use) or scratch (default: the recipe's).",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's name or .yaml file; see `qwrist configs ls`.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="streaming, micro, spatial_lstm, tds or tds_spatial (default: the recipe's)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates (default: the recipe's).")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Makes the run repeatable.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recordings and run the whole chain on 10 s of them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a decoder to a user: the last recording tests, the one before it chooses the epoch."""
    found = UserStore.default().user(user)
    chosen = choose_recipe(None if start is None else _start(start), recipe, network, steps)
    if dry_run:
        _rehearse(found, chosen, as_json=as_json)
        return
    done = fit(found, chosen, seed)
    if as_json:
        ui.emit_json(done.report.model_dump(mode="json") | {"folder": str(done.folder)})
    else:
        ui.facts(f"Personalised for {user}", _summary(done.report) | {"folder": done.folder})


def _start(text: str) -> Start:
    match text:
        case "base" | "current" | "scratch":
            return text
        case _:
            raise BadInput(f"--from is {text!r}; expected base, current or scratch")


def choose_recipe(
    start: Start | None = None,
    recipe: str | None = None,
    network: str | None = None,
    steps: int | None = None,
) -> Recipe:
    """The recipe that is named or fits, with what the command line overrides. Raises BadInput."""
    live = network in (None, "streaming", "micro")
    default = _RECIPES[start or "base"] if live else "paper"
    changes = {"start": start, "network": network, "steps": steps}
    loaded = recipes.load(recipe or default)
    return recipes.override(loaded, {name: value for name, value in changes.items() if value is not None})


def fit(user: User, recipe: Recipe, seed: int = 0) -> Personalized:
    """Personalise with a progress bar. Raises NotEnoughData, BadInput, TrainingFailed."""
    require("torch", "train")
    from personalize.fit import personalize_user

    with ui.progress(f"training {recipe.network}") as advance:
        return personalize_user(
            user,
            recipe,
            seed=seed,
            progress=lambda step, total, loss: advance(step, total, f"loss {loss:.2f}"),
        )


def _rehearse(user: User, recipe: Recipe, *, as_json: bool) -> None:
    """Announce the run, refuse what training would, and run every stage briefly, export included."""
    require("torch", "train")
    from personalize.checks import refuse
    from personalize.fit import gather, personalize_user
    from personalize.rehearsal import briefly, rehearsal_user
    from qwrist.verbs.exports import lower

    recordings = gather(user)
    if not as_json:
        _announce(recordings, recipe)
    refuse(recordings.findings)
    with rehearsal_user(user) as stand_in:
        done = personalize_user(stand_in, briefly(recipe), least_s=1.0)
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
    ui.table(f"{recipe.network} from {recipe.start}, {recipe.steps} steps", ["session", "role", "min"], rows)
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
        "validation CER": f"{report.validation.percent:.1f} %",
        "test CER": f"{test.percent:.1f} % of {test.length} keys "
        f"({test.insertions} inserted, {test.deletions} missed, {test.substitutions} wrong)",
        "in use": _in_use(report),
    }
    if report.findings:
        facts["recordings"] = "; ".join(report.findings)
    if report.test_before is not None:
        facts["test CER before"] = f"{report.test_before.percent:.1f} %"
    if report.simulated:
        facts["note"] = _SIMULATED
    return facts


def _in_use(report: FitReport) -> str:
    answer = "yes" if report.promoted else "no, the model before stays"
    return answer if report.gate is None else f"{answer}: {report.gate.reason}"


def model_folder(user: User, model: int | None) -> Path:
    """The folder of a model, by default the one in use. Raises BadInput."""
    folder = user.current() if model is None else user.slot(model)
    if folder is None:
        raise BadInput(f"user {user.id} has no model yet; run: personalize --user {user.id}")
    owner = read_manifest(folder).user
    if owner != user.id:
        raise BadInput(f"{folder} is a model of {owner}, not of {user.id}; name one of theirs with --model")
    return folder


def held_out(user: User, folder: Path) -> Session:
    """The recording that the model in `folder` was tested on, which nothing of it has seen."""
    from personalize.report import read_report

    test = next(part for part in read_report(folder).parts if part.role == "test")
    path = user.session_path(test.session)
    if not path.is_file():
        raise BadInput(
            f"{path}, which tested {folder.name}, is gone, and nothing else is unseen by that model; "
            f"restore it, or personalize anew: personalize --user {user.id}"
        )
    return read_session(path)


def evaluate(
    user: UserId,
    session: Annotated[
        Path | None, typer.Option(help="A session file (default: the model's test recording).")
    ] = None,
    model: ModelOption = None,
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the network.")] = "torch",
    beam: BeamOption = None,
    lm: LmOption = None,
    no_lm: NoLm = False,
    vocabulary: VocabularyOption = None,
    as_json: AsJson = False,
) -> None:
    """The CER of a model on a recording, read as live typing reads it; and greedily."""
    require("torch", "train")
    from personalize.evaluate import score_emissions, session_emissions
    from personalize.geometry import Geometry
    from personalize.labels import labels_of

    found = UserStore.default().user(user)
    folder = model_folder(found, model)
    manifest = read_manifest(folder)
    recording = held_out(found, folder) if session is None else read_session(session)
    decoder = decoder_for(manifest.stride, beam, lm, vocabulary, no_lm=no_lm)
    engine = _open(folder, manifest, runtime)
    log_probs = session_emissions(engine, manifest, recording)
    judged = log_probs, labels_of(recording), Geometry.of_manifest(manifest, engine.form)
    cer = score_emissions(*judged, partial(decode_all, decoder))
    result = {
        "session": recording.name,
        "model": folder.name,
        "runtime": runtime,
        "decoder": str(decoder),
        "cer_percent": round(cer.percent, 3),
        "greedy_cer_percent": round(score_emissions(*judged).percent, 3),
        **cer._asdict(),
        "simulated": recording.simulated,
    }
    if as_json:
        ui.emit_json(result)
    else:
        ui.facts(f"CER of {user}", result)


def _open(folder: Path, manifest: ModelManifest, runtime: RuntimeName) -> Runtime:
    if runtime != "torch":
        from edge.runtimes import open_preferred

        return open_preferred(folder, manifest, runtime)
    from personalize.model import load_model
    from personalize.reference import TorchRuntime

    return TorchRuntime(load_model(folder)[0], manifest.form)
