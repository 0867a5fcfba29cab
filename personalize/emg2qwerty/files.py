"""What an emg2qwerty download is made of: one HDF5 a recording, metadata.csv, and hashes to check them by."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edge.documents import first_fault
from edge.errors import BadInput
from personalize.emg2qwerty.splits import Listed, user_id

METADATA: Final = "metadata.csv"
SUFFIX: Final = ".hdf5"
_BLOCK: Final = 1 << 20  # bytes hashed at a time
_Rows = TypeVar("_Rows")
_SHA256SUM: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")  # a line of sha256sum

Hashed = Callable[[int, int], None]
"""Told while hashing: bytes done, bytes in all."""


class Row(BaseModel):
    """A line of metadata.csv."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # theirs, and it may grow

    session: str = Field(min_length=1)
    user: str
    duration_mins: float = Field(ge=0, allow_inf_nan=False)
    num_keystrokes: int = Field(ge=0)
    num_prompts: int = Field(ge=0)
    quality_check_tags: str = ""

    @property
    def listed(self) -> Listed:
        """As splits name it."""
        return Listed(user_id(self.user), self.session)


class Expected(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_file: str = Field(pattern=r"^[^/\\]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int | None = Field(default=None, ge=0)  # sha256sum does not say


class Download(NamedTuple):
    """A folder that was downloaded."""

    folder: Path
    files: dict[str, Path]  # by recording
    rows: dict[str, Row] | None  # by recording; None where there is no metadata.csv

    @property
    def listed(self) -> list[Listed]:
        """Every recording that metadata.csv names and that is there."""
        return [row.listed for name, row in (self.rows or {}).items() if name in self.files]


def open_download(folder: Path) -> Download:
    """Look at a download. Raises BadInput where it holds no recording, or its metadata.csv is not one."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; name the one that emg2qwerty was unpacked into")
    files = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}
    if not files:
        raise BadInput(f"{folder} holds no {SUFFIX} file; name the folder that emg2qwerty was unpacked into")
    return Download(folder, files, read_metadata(folder / METADATA))


def read_metadata(path: Path) -> dict[str, Row] | None:
    """metadata.csv by recording, None where there is none. Raises BadInput."""
    if not path.is_file():
        return None
    rows = _read_csv(path, TypeAdapter(list[Row]), "emg2qwerty's metadata.csv")
    found = {row.session: row for row in rows}
    if len(found) < len(rows):
        raise BadInput(f"{path} names a recording twice; download it anew")
    return found


def read_manifest(path: Path) -> dict[str, Expected]:
    """Hashes by file name: a CSV of session_file, sha256, bytes, or sha256sum's lines. Raises BadInput."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); name a file of SHA-256 sums") from None
    if lines and (first := _SHA256SUM.fullmatch(lines[0])):
        matches = [first, *(_SHA256SUM.fullmatch(line) for line in lines[1:] if line)]
        if None in matches:
            raise BadInput(f"{path} begins as sha256sum's and does not go on so; make it anew")
        found = [Expected(session_file=Path(m[2]).name, sha256=m[1]) for m in matches if m is not None]
    else:
        found = _read_csv(path, TypeAdapter(list[Expected]), "a CSV of session_file, sha256 and bytes")
    return {expected.session_file: expected for expected in found}


def mismatch(path: Path, expected: Expected, progress: Hashed | None = None) -> str | None:
    """How a file differs from what it must be; None where it does not. The size is asked first."""
    size = path.stat().st_size
    if expected.bytes is not None and size != expected.bytes:
        return f"it has {size} bytes, expected {expected.bytes}"
    digest = hashlib.sha256()
    for done, block in _blocks(path):
        digest.update(block)
        if progress is not None:
            progress(done, size)
    return None if digest.hexdigest() == expected.sha256 else "its SHA-256 differs from the manifest's"


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            done += len(block)
            yield done, block


def _read_csv(path: Path, adapter: TypeAdapter[_Rows], what: str) -> _Rows:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return adapter.validate_python(list(csv.DictReader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read ({error}); expected {what}") from None
    except ValidationError as error:
        raise BadInput(f"{path} is not {what}: line {first_fault(error)}") from None
