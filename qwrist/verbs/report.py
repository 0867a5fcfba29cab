"""`qwrist report`: the page of a personalisation, made again beside its model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.extras import require
from edge.store import UserStore
from qwrist import ui
from qwrist.verbs.models import ModelOption, model_folder
from qwrist.verbs.users import AsJson, UserId


def report(
    user: UserId,
    model: ModelOption = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write the pictures alone, as SVG files, into this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write report.html beside a model: errors by key, finger, recording and electrode."""
    require("torch", "train")
    from personalize.html_report.page import write_page, write_pictures

    found = UserStore.default().user(user)
    folder = model_folder(found, model)
    if pictures is None:
        path = write_page(found, folder)
    else:
        write_pictures(found, folder, pictures)
        path = pictures
    if as_json:
        ui.emit_json({"report": str(path)})
    else:
        ui.note(f"{path}: it tells what was typed, and is as private as the recordings")
