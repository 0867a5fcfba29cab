"""`export`: from a model to what devices run, each file proved against the desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from edge.errors import BadInput
from edge.extras import require
from edge.files import locked
from edge.manifest import Precision, Takes, read_manifest
from edge.store import User, UserStore
from edge.trust import TrustStore
from qwrist import ui
from qwrist.verbs.models import ModelOption, held_out, model_folder
from qwrist.verbs.parity import ThresholdsOption, render_parity
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from export.parity import ParityReport, Thresholds
    from export.plan import Wish
    from export.targets import Bundled


class Target(StrEnum):
    """What a bundle is for."""

    PHONE = "phone"
    MCU = "mcu"


class PrecisionName(StrEnum):
    """How an artifact stores its numbers, as model.json spells it; typer repeats an enum, not a Literal."""

    FLOAT32 = "float32"
    INT8_DYNAMIC = "int8_dynamic"
    INT8_STATIC = "int8_static"


_DEFAULT_PRECISIONS: Final[dict[Target | None, tuple[Precision, ...]]] = {
    None: ("float32",),
    Target.PHONE: ("float32", "int8_dynamic"),
    Target.MCU: ("int8_static",),
}


_BOARD: Final = "generic-m4"  # of configs/targets.yaml: what micro is made for


def export(
    user: Annotated[str, typer.Option("--user", help="The user's id.")],
    target: Annotated[
        Target | None,
        typer.Option(help="A signed bundle for a device (default: files beside the model, to type here)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The bundle's folder (default: in the user's store).")
    ] = None,
    model: ModelOption = None,
    precision: Annotated[
        list[PrecisionName] | None,
        typer.Option(help="Repeat it for several (default: float32, and int8_dynamic for a phone)."),
    ] = None,
    takes: Annotated[
        Takes,
        typer.Option("--input", help="What the files take; for samples, the front end is in the graph."),
    ] = "frames",
    uv_per_lsb: Annotated[float | None, typer.Option(help="Microvolts a step, of int16 samples.")] = None,
    chunk_ms: Annotated[float | None, typer.Option(help="What one call advances by.")] = None,
    lookahead_ms: Annotated[
        float | None,
        typer.Option(help="What a bidirectional network reads ahead; without it, whole windows."),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(help="The microcontroller that must hold the model (default: generic-m4)."),
    ] = None,
    thresholds: ThresholdsOption = None,
    as_json: AsJson = False,
) -> None:
    """Write what devices run, each file only once it says what the desk says."""
    found = UserStore.default().user(user)
    require("torch", "train")
    from export.parity import load_thresholds
    from export.plan import Wish

    limits = load_thresholds(thresholds) if thresholds else None
    default = _DEFAULT_PRECISIONS[target]
    wanted = cast("tuple[Precision, ...]", tuple(dict.fromkeys(name.value for name in precision or ())))
    if board is not None and target is not Target.MCU:
        raise BadInput("--board is a microcontroller; add --target mcu, or leave it out")
    wish = Wish(wanted or default, takes, chunk_ms, lookahead_ms, uv_per_lsb)
    match target:
        case None:
            if out is not None:
                raise BadInput("--out is where a bundle goes; add --target phone or --target mcu")
            folder = model_folder(found, model)
            _show_exported(lower(found, folder, wish, limits), folder, as_json=as_json)
        case Target.PHONE:
            folder = model_folder(found, model)
            _show_bundle(bundle_for_phone(found, folder, out, wish, limits), as_json=as_json)
        case Target.MCU:
            if wish != Wish(default) or precision:
                raise BadInput(
                    "a microcontroller takes frames, one emission at a time, in int8_static; leave "
                    "--precision, --input, --chunk-ms and --lookahead-ms out"
                )
            _show_bundle(bundle_for_mcu(found, model, out, board or _BOARD, limits), as_json=as_json)


def lower(
    user: User, folder: Path, wish: Wish | None = None, thresholds: Thresholds | None = None
) -> ParityReport:
    """Export with a progress bar. Raises ParityFailed and keeps the files before, where they disagree."""
    require("torch", "train")
    from export.artifacts import export_model
    from export.golden import listen, scenarios
    from personalize.calibration import calibration_windows

    manifest, session = read_manifest(folder), held_out(user, folder)
    goldens = [listen(scenario, manifest) for scenario in scenarios(session)]
    needs_calibration = wish is not None and "int8_static" in wish.precisions
    with ui.steps("exporting") as progress:
        return export_model(
            folder,
            goldens,
            wish=wish,
            calibration=calibration_windows(user, folder) if needs_calibration else (),
            thresholds=thresholds,
            progress=progress,
        )


def bundle_for_phone(
    user: User, folder: Path, out: Path | None, wish: Wish, thresholds: Thresholds | None = None
) -> Bundled:
    """Write a phone's bundle with a progress bar. Raises ParityFailed, BadInput; then there is none."""
    from export.targets import Source, export_phone

    with (
        _destination(user, out, Target.PHONE) as destination,
        ui.steps("exporting for a phone") as progress,
    ):
        session = held_out(user, folder)
        source = Source(user, folder, session, TrustStore.default(), thresholds, progress)
        return export_phone(source, destination, wish)


def bundle_for_mcu(
    user: User, model: int | None, out: Path | None, board: str, thresholds: Thresholds | None = None
) -> Bundled:
    """Write a microcontroller's bundle with a progress bar, of a network that the user's own one taught."""
    from export.mcu import find_target
    from export.targets import Source, export_mcu

    find_target(board)  # refused before minutes of teaching
    with _destination(user, out, Target.MCU) as destination:
        folder = model_folder(user, model)
        if model is None:
            folder = _micro(user, folder)
        session = held_out(user, folder)
        with ui.steps("exporting for a microcontroller") as progress:
            source = Source(user, folder, session, TrustStore.default(), thresholds, progress)
            return export_mcu(source, destination, board)


def _micro(user: User, folder: Path) -> Path:
    """A model that a microcontroller holds: this one, its newest pupil, or a pupil that is taught now."""
    from personalize import recipe
    from personalize.distill import distill_user, newest_pupil

    chosen = recipe.load("micro")
    if read_manifest(folder).network == chosen.network:
        return folder
    taught = newest_pupil(user, folder, chosen.network)
    if taught is not None:
        return taught
    with ui.progress("teaching the micro network") as advance:
        done = distill_user(
            user,
            folder,
            chosen,
            progress=lambda step, total, loss: advance(step, total, f"loss {loss:.2f}"),
        )
    return done.folder


@contextmanager
def _destination(user: User, out: Path | None, target: Target) -> Iterator[Path]:
    """Where a bundle goes: where it is wanted, or the next free number in the user's folder.

    Raises BadInput while another bundle of the user is being written there.
    """
    if out is not None:
        yield out
        return
    bundles = user.path / "bundles"
    bundles.mkdir(mode=0o700, exist_ok=True)
    (bundles / ".lock").touch(mode=0o600)
    try:
        with locked(bundles / ".lock"):
            names = [path.name for path in bundles.glob(f"{target}-[0-9][0-9][0-9][0-9]")]
            taken = [int(name.rsplit("-", 1)[1]) for name in names]
            yield bundles / f"{target}-{max(taken, default=0) + 1:04}"
    except BlockingIOError:
        raise BadInput(
            f"another bundle of {user.id} is being written; wait until it is done, or add --out"
        ) from None


def _show_exported(report: ParityReport, folder: Path, *, as_json: bool) -> None:
    if as_json:
        ui.emit_json(report.model_dump(mode="json"))
    else:
        render_parity(report, f"Exported to {folder}")


def _show_bundle(bundled: Bundled, *, as_json: bool) -> None:
    folder, manifest, made = bundled
    if as_json:
        parity = made.report.model_dump(mode="json")
        ui.emit_json({"bundle": str(folder), "artifacts": [a.file for a in made.artifacts], "parity": parity})
        return
    render_parity(made.report, f"Bundle of {manifest.user}: {manifest.network}")
    ui.say(f"\nBundle: {folder}\nLook at it: qwrist bundle inspect {folder}")
