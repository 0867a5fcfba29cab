"""`evaluate`, and the model that a verb means."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge.decoder import decode_all
from edge.errors import BadInput
from edge.extras import require
from edge.manifest import ModelManifest, read_manifest
from edge.roll import roll
from edge.session import Session, read_session
from edge.store import User, UserStore
from qwrist import ui
from qwrist.verbs.decoding import BeamOption, LmOption, NoLm, VocabularyOption, decoder_for
from qwrist.verbs.turned import TurnedOption, asked
from qwrist.verbs.users import AsJson, UserId

if TYPE_CHECKING:
    from edge.runtimes import Runtime

FAILED = 1

RuntimeName = Literal["torch", "executorch", "litert"]
ModelOption = Annotated[int | None, typer.Option("--model", help="A model's number (default: the current).")]


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
    turned: TurnedOption = None,
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
    recording = replace(recording, emg_uv=roll(recording.emg_uv, asked(turned)))
    decoder = decoder_for(manifest.stride, beam, lm, vocabulary, no_lm=no_lm)
    engine = _open(folder, manifest, runtime)
    log_probs = session_emissions(engine, manifest, recording)
    judged = log_probs, labels_of(recording), Geometry.of_manifest(manifest, engine.form)
    cer = score_emissions(*judged, partial(decode_all, decoder))
    result = {
        "session": recording.name,
        "model": folder.name,
        "turned": asked(turned),
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
