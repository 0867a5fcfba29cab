"""manifest.json of a bundle: what is in it, for whom, and what it takes to run it. docs/formats/bundle.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.bundle import paths
from edge.bundle.refusal import BundleRefused, Refusal
from edge.documents import first_fault
from edge.manifest import RuntimeKind
from edge.store import is_user_id

FILE_NAME: Final = "manifest.json"
SIGNATURE_NAME: Final = "manifest.sig"
SCHEMA: Final = 1

MAX_FILES: Final = 1000
MAX_FILE_BYTES: Final = 64 << 20  # three times the largest artifact, TDS in float32
MAX_BYTES: Final = 256 << 20  # all files; they are held in memory, as they were hashed
MAX_MANIFEST_BYTES: Final = 1 << 20  # a thousand files need a quarter of it

Target = Literal["phone", "mcu"]
Role = Literal[
    "model", "artifact", "golden", "parity", "report", "bench", "card", "sample", "source", "estimate"
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleFile(_Record):
    """One file, as it was when it was signed."""

    sha256: Sha256
    bytes: int = Field(ge=0, le=MAX_FILE_BYTES)
    role: Role


class VersionRange(_Record):
    """Versions of a runtime that can be trusted with an artifact; `below` is None where none is too new."""

    at_least: str
    below: str | None = None


class BundleManifest(_Record):
    """All that is signed. Its files are all that lies in the folder, beside itself and its signature."""

    format: Literal["qwrist bundle"] = "qwrist bundle"
    schema_version: Literal[1] = 1
    target: Target
    user: str
    counter: int = Field(ge=1, lt=2**53)  # what every JSON reader holds exactly
    created: str  # ISO 8601, UTC
    simulated: bool  # trained on simulated recordings: no figure in here is a person's
    qwrist_version: str  # what wrote it
    key: Sha256  # the id of the key that signed it
    charset_sha256: Sha256
    runtimes: Mapping[RuntimeKind, VersionRange]
    files: Mapping[str, BundleFile] = Field(max_length=MAX_FILES)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files.values())

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if not is_user_id(self.user):
            raise ValueError(f"{self.user!r} cannot be a user's id")
        reserved = [path for path in self.files if path.lower() in (FILE_NAME, SIGNATURE_NAME)]
        if reserved:
            raise ValueError(f"{reserved[0]!r} cannot list itself")
        found = paths.first_fault(self.files)
        if found is not None:
            raise ValueError(f"the path {found}")
        if self.bytes > MAX_BYTES:
            raise ValueError(f"its files hold {self.bytes:,} bytes, at most {MAX_BYTES:,} are allowed")
        return self


class _Version(BaseModel):
    """Only this is promised of every schema to come."""

    format: Literal["qwrist bundle"]
    schema_version: int


def parse(content: bytes, where: str) -> BundleManifest:
    """A manifest whose signature holds. Raises BundleRefused for a newer schema or broken rules."""
    try:
        version = _Version.model_validate_json(content).schema_version
        if version > SCHEMA:
            raise BundleRefused(
                Refusal.NEWER_SCHEMA,
                f"{where} is a bundle of schema {version}, and this version of qwrist reads up to {SCHEMA}; "
                "update qwrist",
            )
        return BundleManifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleRefused(
            Refusal.MALFORMED,
            f"{where} breaks the rules of a bundle ({first_fault(error)}); export it again: qwrist export",
        ) from None


def claimed_key(content: bytes) -> str | None:
    """The key that an unverified manifest names, for an error's sake; None where it names none."""
    try:
        return _Claim.model_validate_json(content).key
    except ValidationError:
        return None


class _Claim(BaseModel):
    key: Sha256
