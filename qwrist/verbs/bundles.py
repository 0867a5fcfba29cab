"""`qwrist bundle`: look at a bundle, verify it, compare two, and say whose bundles are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.bundle import BundleRefused, read_bundle, verify_bundle
from edge.errors import BadInput
from edge.signing import VerifyingKey
from edge.trust import TrustStore
from qwrist import ui
from qwrist.verbs.users import AsJson

if TYPE_CHECKING:
    from edge.bundle import OpenBundle
    from export.bundle import Difference

BAD_INPUT = 2  # as for every refused input

app = typer.Typer(
    no_args_is_help=True, help="Bundles for phones and microcontrollers: inspect, verify, compare."
)

Folder = Annotated[Path, typer.Argument(help="A bundle's folder, as `qwrist export --target` wrote it.")]


@app.command("inspect")
def inspect(bundle: Folder, as_json: AsJson = False) -> None:
    """What is in a bundle, and for whom. Its signature and files are checked first."""
    from export.bundle import describe

    facts = describe(_read(bundle))
    if as_json:
        ui.emit_json(facts.model_dump(mode="json"))
    else:
        ui.facts(f"Bundle {bundle}", facts.rows())


@app.command("verify")
def verify(
    bundle: Folder,
    user: Annotated[str | None, typer.Option("--user", help="The user whose bundle it must be.")] = None,
    as_json: AsJson = False,
) -> None:
    """Whether a bundle may be used here: exit code 0, or 2 with the reason."""
    try:
        found = verify_bundle(bundle, TrustStore.default(), user)
        for kind in found.manifest.runtimes:
            found.check_version(kind)
    except BundleRefused as refused:
        if not as_json:
            raise
        ui.emit_json({"verified": False, "reason": refused.reason.value, "sentence": str(refused)})
        raise typer.Exit(BAD_INPUT) from None
    manifest = found.manifest
    if as_json:
        ui.emit_json(
            {"verified": True, "user": manifest.user, "counter": manifest.counter, "key": manifest.key}
        )
    else:
        ui.say(
            f"{bundle}: whole, of {manifest.user}, number {manifest.counter} for {manifest.target}, "
            f"signed by {found.signer.name} ({manifest.key[:12]})"
        )


@app.command("diff")
def diff(a: Folder, b: Folder, as_json: AsJson = False) -> None:
    """What differs between two bundles: facts, figures and files."""
    from export.bundle import compare

    found = compare(_read(a), _read(b))
    if as_json:
        ui.emit_json(found.model_dump(mode="json"))
    elif found.identical:
        ui.say(f"{a} and {b} hold the same")
    else:
        _render(found, a, b)


@app.command("key")
def key() -> None:
    """Print the public key that this computer signs with, for others to trust."""
    ui.say(TrustStore.default().signing_key().public.pem.decode().rstrip())


@app.command("trust")
def trust(
    name: Annotated[str, typer.Argument(help="What to call the key: a-z, 0-9 and -.")],
    file: Annotated[Path, typer.Argument(help="The public key, as `qwrist bundle key` prints it there.")],
) -> None:
    """Open bundles that somebody else signed. Be sure whose key it is."""
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read ({error.strerror}); name a file that holds a public key"
        ) from None
    found = VerifyingKey.of_pem(pem, str(file))
    TrustStore.default().trust(name, found)
    ui.note(f"bundles of {name} are opened from now on; compare its id with its owner: {found.id}")


def _read(folder: Path) -> OpenBundle:
    return read_bundle(folder, TrustStore.default().trusted())


def _render(found: Difference, a: Path, b: Path) -> None:
    if found.facts:
        rows = [(fact.fact, fact.a or "-", fact.b or "-") for fact in found.facts]
        ui.table("Facts that differ", ["", str(a), str(b)], rows, words=3)
    if found.files:
        sizes = [
            (change.path, change.change, _size(change.bytes_a), _size(change.bytes_b))
            for change in found.files
        ]
        ui.table("Files that differ", ["file", "", "bytes in A", "bytes in B"], sizes, words=2)


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size:,}"
