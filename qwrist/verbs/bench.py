"""`bench`: what each exported file costs, beside torch and ONNX Runtime on the same input, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.bundle import unpacked, verify_bundle
from edge.errors import BadInput
from edge.extras import require
from edge.store import UserStore
from edge.trust import TrustStore
from qwrist import ui
from qwrist.verbs.models import ModelOption, model_folder
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from export.bench import BenchReport


def bench(
    user: Annotated[str | None, typer.Option("--user", help="The user whose model is measured.")] = None,
    model: ModelOption = None,
    bundle: Annotated[Path | None, typer.Option(help="A bundle's folder, instead of a user's model.")] = None,
    calls: Annotated[int, typer.Option(min=5, max=100_000, help="Of each contender, in turns.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Measure size, load, memory and speed of each exported file at one thread, in one run."""
    if (user is None) == (bundle is None):
        raise BadInput("name a model, with --user ID, or a bundle, with --bundle FOLDER")
    require("torch", "train")
    if bundle is not None:
        with unpacked(verify_bundle(bundle, TrustStore.default())) as checked:
            report = measure(checked, calls)
    else:
        report = measure(model_folder(UserStore.default().user(str(user)), model), calls)
    if as_json:
        ui.emit_json(report.model_dump(mode="json"))
    else:
        render(report)


def measure(folder: Path, calls: int) -> BenchReport:
    """Measure with a progress bar. Raises BadInput where nothing was exported."""
    from export.bench import bench as run

    with ui.steps("measuring") as progress:
        return run(folder, calls=calls, progress=progress)


def render(report: BenchReport) -> None:
    """How fast, and what it takes; a line a contender."""
    from export.bench import COST_COLUMNS, SPEED_COLUMNS, cost_rows, speed_rows

    ui.table(
        f"{report.network}: one call, {report.threads} thread", SPEED_COLUMNS, speed_rows(report), words=2
    )
    ui.table("What it takes", COST_COLUMNS, cost_rows(report), words=2)
    ui.say(
        f"On {report.machine}. ×: how many times faster than torch eager and ONNX Runtime, equal precision. "
        "MMAC/s and the weights read a second of signal stand for energy, which was not measured."
    )
