"""Writing a bundle: filled out of sight, signed, synced, and only then put in its place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from edge.bundle import read_bundle
from edge.bundle.manifest import (
    FILE_NAME,
    MAX_FILE_BYTES,
    SCHEMA,
    SIGNATURE_NAME,
    BundleFile,
    BundleManifest,
    Role,
    Target,
)
from edge.bundle.versions import needed
from edge.charset import CHARSET
from edge.documents import first_fault
from edge.errors import BadInput
from edge.files import lock, sync_folder
from edge.manifest import FILE_NAME as MODEL_NAME
from edge.manifest import ModelManifest, read_manifest
from edge.signing import SigningKey
from edge.trust import OWN, Lineage, TrustedKey, TrustStore

_ROLES: Final[dict[str, Role]] = {
    MODEL_NAME: "model",
    "parity.json": "parity",
    "report.json": "report",
    "bench.json": "bench",
    "MODEL_CARD.md": "card",
}
_FOLDERS: Final[dict[str, Role]] = {
    "golden": "golden",
    "samples": "sample",
    "c": "source",
    "estimates": "estimate",
}
_UNFINISHED: Final = ".unfinished-"


class _Found(NamedTuple):
    """A file that was put into the folder."""

    path: str  # with '/', from the folder
    content_sha256: str
    bytes: int


@contextmanager
def writing_bundle(destination: Path, target: Target, trust: TrustStore) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes the bundle `destination` if the block ends well.

    Otherwise nothing is left of it. The block puts model.json there, the artifacts that it lists, and what
    else belongs to a bundle (docs/formats/bundle.md); manifest, counter and signature come from here.
    Raises BadInput where `destination` exists, its folder does not, or a file has no place in a bundle.
    """
    _refuse_taken(destination)
    key = trust.signing_key()
    with _unfinished(destination) as folder:
        yield folder
        model = read_manifest(folder)
        found = _files(folder)
        lineage = Lineage(key=key.public.id, user=model.user, target=target)
        manifest = _manifest(target, model, found, key, trust.next_counter(lineage))
        _sign(folder, manifest, key)
        read_bundle(folder, [TrustedKey(OWN, key.public)])  # what would be refused is not written
        _make_lasting(folder)
        _refuse_taken(destination)
        folder.rename(destination)
    sync_folder(destination.parent)


def _refuse_taken(destination: Path) -> None:
    if not destination.parent.is_dir():
        raise BadInput(f"{destination.parent} is no folder, so no bundle can be put there; make it first")
    if destination.exists() or destination.is_symlink():
        raise BadInput(f"{destination} exists already; remove it, or name another folder")


@contextmanager
def _unfinished(destination: Path) -> Iterator[Path]:
    """A folder beside `destination`, removed unless it was renamed; so are those that killed writers left."""
    prefix = f".{destination.name}{_UNFINISHED}"
    for left in destination.parent.glob(f"{prefix}*"):
        with suppress(OSError), _held(left):  # locked by a writer that is alive, or no folder of ours
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=destination.parent, prefix=prefix))  # 0700
    try:
        with _held(folder):
            yield folder
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder's lock. Raises BlockingIOError where someone else has it."""
    with ExitStack() as stack:
        if os.name != "nt":  # Windows cannot open a folder; there, what a killed writer left stays
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            lock(handle, wait=False)
        yield


def _files(folder: Path) -> list[_Found]:
    """What was put into the folder. Raises BadInput for links, and for what is too large to be opened."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            raise BadInput(f"{name} is a link or no plain file, and a bundle holds plain files only")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BadInput(f"{name} holds {size:,} bytes, and a file of a bundle at most {MAX_FILE_BYTES:,}")
        found.append(_Found(name, hashlib.sha256(path.read_bytes()).hexdigest(), size))
    return found


def _manifest(
    target: Target, model: ModelManifest, found: list[_Found], key: SigningKey, counter: int
) -> BundleManifest:
    artifacts = {artifact.file for artifact in model.artifacts}
    try:
        return BundleManifest(
            schema_version=SCHEMA,
            target=target,
            user=model.user,
            counter=counter,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            simulated=model.simulated,
            qwrist_version=metadata.version("qwrist"),
            key=key.public.id,
            charset_sha256=CHARSET.sha256,
            runtimes=needed(artifact.runtime for artifact in model.artifacts),
            files={
                path: BundleFile(sha256=sha256, bytes=size, role=_role(path, artifacts))
                for path, sha256, size in found
            },
        )
    except ValidationError as error:
        raise BadInput(
            f"this cannot be a bundle: {first_fault(error)}; remove what does not belong"
        ) from None


def _role(path: str, artifacts: set[str]) -> Role:
    if path in artifacts:
        return "artifact"
    if path.endswith(".bpte"):  # a program with its golden vectors inside
        return "golden"
    role = _FOLDERS.get(path.split("/", 1)[0]) if "/" in path else _ROLES.get(path)
    if role is None:
        raise BadInput(
            f"{path} has no place in a bundle; it takes {', '.join(_ROLES)}, the artifacts of {MODEL_NAME}, "
            f"and the folders {', '.join(_FOLDERS)}"
        )
    return role


def _sign(folder: Path, manifest: BundleManifest, key: SigningKey) -> None:
    content = manifest.model_dump_json(indent=1).encode()
    (folder / FILE_NAME).write_bytes(content)
    (folder / SIGNATURE_NAME).write_bytes(key.sign(content))


def _make_lasting(folder: Path) -> None:
    """Sync every file and folder to disk, for their owner alone: a bundle holds a biometric."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        else:
            path.chmod(0o700)
            sync_folder(path)
    sync_folder(folder)
