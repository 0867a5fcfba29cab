"""`parity`: does an exported file say what the desk says, stage by stage?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.bundle import unpacked, verify_bundle
from edge.errors import BadInput
from edge.extras import require
from edge.files import write_atomically
from edge.manifest import ModelManifest, read_manifest
from edge.store import User, UserStore
from edge.trust import TrustStore
from firmware_bridge.device.connect import Bench, Ble, DeviceSpec, Sim, open_bench
from qwrist import ui
from qwrist.band_spec import Settings, a_name, yes_or_no
from qwrist.verbs.models import FAILED, ModelOption, held_out, model_folder
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from export.golden import Golden
    from export.parity import Elsewhere, ParityReport, Proof

ThresholdsOption = Annotated[
    Path | None, typer.Option("--thresholds", help="Limits of parity (default: configs/parity.yaml).")
]


def parity(
    user: Annotated[str | None, typer.Option("--user", help="The user whose model is compared.")] = None,
    model: ModelOption = None,
    bundle: Annotated[Path | None, typer.Option(help="A bundle's folder, instead of a user's model.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots of the errors.")] = None,
    thresholds: ThresholdsOption = None,
    own_process: Annotated[
        bool, typer.Option("--own-process", help="Run each file in a process of its own as well.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help="Run the bundle on a device: ble: (in reach; ble:ADDRESS,hci=usb:0) or sim: (a virtual one)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the exported files with the desk, stage by stage. Exit code 1 if one departs."""
    if (user is None) == (bundle is None):
        raise BadInput("name a model, with --user ID, or a bundle, with --bundle FOLDER")
    if device is not None and (bundle is None or own_process):
        raise BadInput(
            "--device runs what lies in a bundle, on the device alone: name it with --bundle FOLDER"
        )
    if html is not None and not html.parent.is_dir():
        raise BadInput(f"{html.parent} is no folder, so no page can be put there; make it first")
    require("torch", "train")
    if bundle is not None:
        spec = None if device is None else parse_device(device)
        proof = prove_bundle(bundle, thresholds, own_process=own_process, device=spec)
        title = f"Parity of {bundle}" if device is None else f"Parity of {bundle} on {device}"
    else:
        found = UserStore.default().user(str(user))
        folder = model_folder(found, model)
        proof = prove(found, folder, thresholds, own_process=own_process)
        title = f"Parity of {folder}"
    if html is not None:
        _write_page(html, proof, title)
    if as_json:
        ui.emit_json(proof.report.model_dump(mode="json") | {"failures": list(proof.report.failures())})
    else:
        render_parity(proof.report, title)
    if proof.report.failures():
        raise typer.Exit(FAILED)


def parse_device(text: str) -> DeviceSpec:
    """Read `sim:`, or `ble:` with an address, and `hci=` and `pair=` as `--band ble:`. Raises BadInput."""
    kind, _, rest = text.partition(":")
    match kind, rest:
        case "ble", _:
            settings = Settings(kind, rest, first="address")
            device = Ble(
                settings.take("address", a_name, None),
                settings.take("hci", a_name, None),
                settings.take("pair", yes_or_no, False),
            )
            settings.finish()
            return device
        case "sim", "":
            return Sim()
        case _:
            raise BadInput(f"{text!r} is no device; use ble:ADDRESS, ble: for the only one in reach, or sim:")


def prove(user: User, folder: Path, thresholds: Path | None = None, *, own_process: bool = False) -> Proof:
    """Compare every artifact of a model with its network, on the held-out recording and what disturbs it."""
    require("torch", "train")
    from export.golden import listen, scenarios

    manifest = read_manifest(folder)
    if not manifest.artifacts:
        raise BadInput(f"nothing of {folder} was exported yet; run: qwrist export --user {user.id}")
    goldens = [listen(scenario, manifest) for scenario in scenarios(held_out(user, folder))]
    return _check(folder, goldens, thresholds, own_process=own_process)


def prove_bundle(
    folder: Path,
    thresholds: Path | None = None,
    *,
    own_process: bool = False,
    device: DeviceSpec | None = None,
) -> Proof:
    """Compare every artifact of a bundle with what its golden vectors say; on `device`, those that it holds.

    Raises BundleRefused; with a device also DeviceNotFound, DeviceRefused, DeviceLost.
    """
    bundle = verify_bundle(folder, TrustStore.default())
    with unpacked(bundle) as checked:
        if device is None:
            return _check(checked, (), thresholds, own_process=own_process)
        with open_bench(device, bundle) as bench:
            return _check(checked, (), thresholds, elsewhere=_on(bench, bundle.model))


def _on(bench: Bench, model: ModelManifest) -> list[Elsewhere]:
    from export.parity import Elsewhere

    return [Elsewhere(one, partial(bench.runtime, one, model)) for one in bench.held(model)]


def _check(
    folder: Path,
    goldens: Sequence[Golden],
    thresholds: Path | None,
    *,
    own_process: bool = False,
    elsewhere: Sequence[Elsewhere] = (),
) -> Proof:
    from export.parity import check, load_thresholds

    with ui.steps("comparing") as progress:
        return check(
            folder,
            goldens,
            thresholds=load_thresholds(thresholds),
            own_process=own_process,
            elsewhere=elsewhere,
            progress=progress,
        )


def _write_page(path: Path, proof: Proof, title: str) -> None:
    from export.parity.html import page

    try:
        write_atomically(path, page(proof, title).encode())
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); name another file") from None


def render_parity(report: ParityReport, title: str) -> None:
    """A line an artifact and runtime; which recordings, and what is wrong."""
    from export.parity import SUMMARY_COLUMNS, summary

    ui.table(title, SUMMARY_COLUMNS, summary(report), words=2)
    goldens = list(dict.fromkeys(one.golden for runtime in report.runtimes for one in runtime.figures))
    ui.say(
        f"Compared with the desk on: {', '.join(goldens)}. max Δ: largest |Δ log p| of them all; agree: best "
        "class over emissions that are not blank, on the typing; text: how many say the same."
    )
    for failure in report.failures():
        ui.say(failure)
