"""Opening a bundle: nothing in it is believed before its signature and every hash hold.

Each file is read once, and what is given on are the bytes that were hashed, so that nobody can change them in
between.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from edge.bundle import paths
from edge.bundle.manifest import (
    FILE_NAME,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    SIGNATURE_NAME,
    BundleManifest,
    claimed_key,
    parse,
)
from edge.bundle.refusal import BundleRefused, Refusal
from edge.bundle.versions import check, installed
from edge.charset import CHARSET
from edge.documents import first_fault
from edge.errors import BadInput
from edge.manifest import FILE_NAME as MODEL_NAME
from edge.manifest import Artifact, ModelManifest, RuntimeKind
from edge.runtimes import Runtime, load_runtime
from edge.signing import SIGNATURE_BYTES
from edge.trust import Lineage, TrustedKey, TrustStore

_REFETCH: Final = "copy the bundle again, or export it again: qwrist export"


@dataclass(frozen=True)
class OpenBundle:
    """A bundle whose every byte was checked."""

    folder: Path  # where it was; nothing is read from there any more
    manifest: BundleManifest
    signer: TrustedKey
    model: ModelManifest
    contents: Mapping[str, bytes]  # path -> the bytes that were hashed

    @property
    def lineage(self) -> Lineage:
        """Which bundles it replaces, and which replace it."""
        return lineage_of(self.manifest)

    def artifact(self, kind: RuntimeKind) -> Artifact:
        """The preferred artifact of a runtime. Raises BadInput where there is none."""
        found = self.model.artifact(kind)
        if found is None:
            kinds = ", ".join(sorted({one.runtime for one in self.model.artifacts})) or "none"
            raise BadInput(
                f"{self.folder} holds no model for {kind} (it has: {kinds}); export one: qwrist export"
            )
        return found

    def runtime(self, artifact: Artifact, threads: int = 1, kind: RuntimeKind | None = None) -> Runtime:
        """Load an artifact from its verified bytes, into its own runtime or another that reads it.

        Raises BundleRefused where this computer's runtime is too old or too new for it, BadInput where its
        state is not what model.json says, MissingExtra where the runtime is not installed.
        """
        kind = kind or artifact.runtime
        self.check_version(kind)
        return load_runtime(self.contents[artifact.file], artifact.form, kind, threads)

    def check_version(self, kind: RuntimeKind) -> None:
        """Raises BundleRefused where this computer's version of a runtime is not to be trusted with it."""
        wanted, found = self.manifest.runtimes.get(kind), installed(kind)
        if wanted is not None and found is not None:
            check(kind, wanted, found)


def open_bundle(folder: Path, trust: TrustStore, user: str | None = None) -> OpenBundle:
    """Open a bundle to use it, and remember its counter: no older one will be opened from then on.

    Raises BundleRefused, with a reason for machines and a sentence for people.
    """
    bundle = verify_bundle(folder, trust, user)
    if not trust.remember(bundle.lineage, bundle.manifest.counter):
        raise _older(bundle, trust)
    return bundle


def verify_bundle(folder: Path, trust: TrustStore, user: str | None = None) -> OpenBundle:
    """All that `open_bundle` checks, and nothing is remembered."""
    bundle = read_bundle(folder, trust.trusted())
    if user is not None and bundle.manifest.user != user:
        raise BundleRefused(
            Refusal.WRONG_USER,
            f"{folder} is a bundle of user {bundle.manifest.user!r}, not of {user!r}; name theirs",
        )
    if bundle.manifest.counter < trust.highest(bundle.lineage):
        raise _older(bundle, trust)
    return bundle


def read_bundle(folder: Path, keys: Sequence[TrustedKey]) -> OpenBundle:
    """Check signature, files, charset and model, whatever the user and counter: to look at or compare.

    Raises BundleRefused.
    """
    content, signer = _signed_manifest(folder, keys)
    manifest = parse(content, str(folder))
    if manifest.key != signer.key.id:
        raise _malformed(folder, "it names another key than the one that signed it")
    if manifest.charset_sha256 != CHARSET.sha256:
        raise BundleRefused(
            Refusal.CHARSET_MISMATCH,
            f"{folder} says keys of another charset ({manifest.charset_sha256[:12]}, here it is "
            f"{CHARSET.sha256[:12]}), so its classes are other keys; export it with this qwrist",
        )
    contents = _read_files(folder, manifest)
    return OpenBundle(folder, manifest, signer, _model(folder, manifest, contents), contents)


def lineage_of(manifest: BundleManifest) -> Lineage:
    """Which bundles replace one another."""
    return Lineage(key=manifest.key, user=manifest.user, target=manifest.target)


def _older(bundle: OpenBundle, trust: TrustStore) -> BundleRefused:
    return BundleRefused(
        Refusal.OLDER_COUNTER,
        f"{bundle.folder} has the counter {bundle.manifest.counter}, and {trust.highest(bundle.lineage)} of "
        f"{bundle.manifest.user} was used here already; use that one, or export a new one: qwrist export",
    )


def _signed_manifest(folder: Path, keys: Sequence[TrustedKey]) -> tuple[bytes, TrustedKey]:
    """The manifest's bytes, once a trusted key has signed them, and that key."""
    if folder.is_symlink() or not folder.is_dir():
        raise BundleRefused(
            Refusal.NOT_A_BUNDLE,
            f"{folder} is not a bundle: it is no folder; name a folder that export wrote",
        )
    try:
        content = _read(folder, FILE_NAME, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        raise BundleRefused(
            Refusal.NOT_A_BUNDLE,
            f"{folder} is not a bundle: it holds no {FILE_NAME}; name a folder that export wrote",
        ) from None
    try:
        signature = _read(folder, SIGNATURE_NAME, SIGNATURE_BYTES)
    except FileNotFoundError:
        raise BundleRefused(
            Refusal.UNSIGNED, f"{folder} is unsigned: it holds no {SIGNATURE_NAME}; {_REFETCH}"
        ) from None
    for trusted in keys:
        if trusted.key.signed(content, signature):
            return content, trusted
    raise _not_signed(folder, content, keys)


def _not_signed(folder: Path, content: bytes, keys: Sequence[TrustedKey]) -> BundleRefused:
    claimed = claimed_key(content)
    if claimed is None or claimed in (trusted.key.id for trusted in keys):
        return BundleRefused(
            Refusal.WRONG_SIGNATURE,
            f"the signature of {folder} does not hold: {FILE_NAME} or {SIGNATURE_NAME} was altered; "
            f"{_REFETCH}",
        )
    return BundleRefused(
        Refusal.UNKNOWN_KEY,
        f"{folder} is signed by the key {claimed[:12]}, which is not trusted here; "
        "if you know whose it is: qwrist bundle trust NAME KEYFILE",
    )


def _read_files(folder: Path, manifest: BundleManifest) -> Mapping[str, bytes]:
    """Every listed file, read once, and nothing else in the folder."""
    present = set(_entries(folder))
    needed = {parent for path in manifest.files for parent in paths.folders(path)}
    extra = present - needed - manifest.files.keys() - {FILE_NAME, SIGNATURE_NAME}
    if extra:
        raise BundleRefused(
            Refusal.EXTRA_FILE,
            f"{folder} holds {min(extra)}, which its manifest does not list; remove it, or {_REFETCH}",
        )
    return MappingProxyType({path: _verified(folder, path, manifest) for path in manifest.files})


def _verified(folder: Path, path: str, manifest: BundleManifest) -> bytes:
    listed = manifest.files[path]
    try:
        content = _read(folder, path, listed.bytes)
    except FileNotFoundError:
        raise BundleRefused(
            Refusal.MISSING_FILE, f"{folder} lacks {path}, which its manifest lists; {_REFETCH}"
        ) from None
    if len(content) < listed.bytes:
        raise BundleRefused(
            Refusal.TRUNCATED_FILE,
            f"{folder / path} ends after {len(content):,} of {listed.bytes:,} bytes; {_REFETCH}",
        )
    if hashlib.sha256(content).hexdigest() != listed.sha256:
        raise BundleRefused(
            Refusal.ALTERED_FILE,
            f"{folder / path} is not the file that was signed (its SHA-256 differs); {_REFETCH}",
        )
    return content


def _entries(folder: Path, below: str = "") -> Iterator[str]:
    """Files and folders in a bundle, as paths with '/'. Raises BundleRefused for a link and for too many."""
    with os.scandir(folder / below) as entries:
        for count, entry in enumerate(entries):
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_symlink():
                raise BundleRefused(
                    Refusal.LINK,
                    f"{folder / path} is a link; a bundle holds its files themselves; {_REFETCH}",
                )
            if count > MAX_FILES or path.count("/") >= paths.MAX_PARTS:
                raise BundleRefused(
                    Refusal.EXTRA_FILE,
                    f"{folder / path} is one too many or too deep for a bundle; {_REFETCH}",
                )
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(folder, path)


def _read(folder: Path, path: str, limit: int) -> bytes:
    """At most `limit` bytes of a regular file. Raises BundleRefused for a longer one, or no file."""
    # Not through a link; not waiting for somebody to write into a pipe; no translation of line ends.
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    try:
        handle = os.open(folder / path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BundleRefused(
            Refusal.MALFORMED, f"{folder / path} cannot be read as a file ({error.strerror}); {_REFETCH}"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BundleRefused(Refusal.MALFORMED, f"{folder / path} is not a plain file; {_REFETCH}")
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleRefused(
            Refusal.ALTERED_FILE,
            f"{folder / path} holds more than the {limit:,} bytes that it may; {_REFETCH}",
        )
    return content


def _model(folder: Path, manifest: BundleManifest, contents: Mapping[str, bytes]) -> ModelManifest:
    """model.json, which must agree with the manifest on whose it is and on each artifact."""
    if MODEL_NAME not in contents:
        raise _malformed(folder, f"it lists no {MODEL_NAME}")
    try:
        model = ModelManifest.model_validate_json(contents[MODEL_NAME])
    except ValidationError as error:
        raise _malformed(folder, f"{MODEL_NAME}: {first_fault(error)}") from None
    if (model.user, model.simulated) != (manifest.user, manifest.simulated):
        raise _malformed(
            folder, f"{MODEL_NAME} is of another user, or of other recordings, than the manifest"
        )
    for artifact in model.artifacts:
        listed = manifest.files.get(artifact.file)
        if listed is None or (listed.sha256, listed.bytes) != (artifact.sha256, artifact.bytes):
            raise _malformed(folder, f"{MODEL_NAME} lists another {artifact.file} than the manifest")
    return model


def _malformed(folder: Path, fault: str) -> BundleRefused:
    return BundleRefused(
        Refusal.MALFORMED, f"{folder} breaks the rules of a bundle ({fault}); export it again: qwrist export"
    )
