"""Whose bundles are trusted, and how far each has come: the keys folder, apart from bundles and recordings.

    keys/signing.pem          our signing key (0600), made at first use
    keys/trusted/<name>.pem   public keys whose bundles are opened; this-computer is our own
    keys/counters.json        of each key, user and target, the highest counter used here, and given here

Folders are 0700, and reading makes none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from edge.documents import read_json
from edge.errors import BadInput
from edge.files import lock, write_atomically
from edge.signing import SigningKey, VerifyingKey
from edge.store import UserStore

OWN: Final = "this-computer"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_MAX_PEM_BYTES: Final = 4096  # an Ed25519 key needs 120
_COUNTERS: Final = "counters.json"


class TrustedKey(NamedTuple):
    """A key whose bundles are opened, and what we call it."""

    name: str
    key: VerifyingKey


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lineage(_Record):
    """Bundles that replace one another: an older one is refused once a newer was used."""

    key: str
    user: str
    target: str


class _Count(_Record):
    lineage: Lineage
    used: int = Field(default=0, ge=0)
    given: int = Field(default=0, ge=0)


class _Counters(_Record):
    schema_version: Literal[1] = 1
    counts: tuple[_Count, ...] = ()

    def of(self, lineage: Lineage) -> _Count:
        """The count of a lineage; zeros before its first."""
        return next((one for one in self.counts if one.lineage == lineage), _Count(lineage=lineage))


@dataclass(frozen=True)
class TrustStore:
    """The keys folder at `root`, which is made by what first writes to it."""

    root: Path

    @classmethod
    def default(cls) -> Self:
        """Beside the users, below QWRIST_HOME."""
        return cls(UserStore.default().root / "keys")

    def signing_key(self) -> SigningKey:
        """Our own, made and trusted at first use. Raises BadInput where it is damaged."""
        path = self.root / "signing.pem"
        with self._locked():
            if not path.exists():
                write_atomically(path, SigningKey.generate().pem)  # 0600
            key = SigningKey.of_pem(_read(path), str(path))
            own = self._folder / f"{OWN}.pem"
            if not own.exists() or own.read_bytes() != key.public.pem:
                self._write_key(own, key.public)
        return key

    def trusted(self) -> tuple[TrustedKey, ...]:
        """All trusted keys, by name. Raises BadInput for a file among them that is none."""
        try:
            found = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return ()
        pems = [path for path in found if path.suffix == ".pem"]  # not what a crash left half-written
        return tuple(TrustedKey(path.stem, VerifyingKey.of_pem(_read(path), str(path))) for path in pems)

    def trust(self, name: str, key: VerifyingKey) -> None:
        """Open bundles of `key` from now on. Raises BadInput for a name that is taken or cannot be one."""
        if _NAME.fullmatch(name) is None or name == OWN:
            raise BadInput(f"{name!r} cannot name a key; use 1 to 32 of a-z, 0-9 and '-', and not {OWN!r}")
        path = self._folder / f"{name}.pem"
        with self._locked():
            if path.exists() and _read(path) != key.pem:
                raise BadInput(f"{path} is another key; choose another name, or remove that file first")
            self._write_key(path, key)

    def highest(self, lineage: Lineage) -> int:
        """The highest counter that was used here; 0 before the first."""
        return self._counters().of(lineage).used

    def remember(self, lineage: Lineage, counter: int) -> bool:
        """Remember that `counter` is used, unless a higher one was; whether it may be. Atomic."""
        with self._locked():
            count = self._counters().of(lineage)
            if counter < count.used:
                return False
            if counter > count.used:
                self._count(count.model_copy(update={"used": counter}))
        return True

    def next_counter(self, lineage: Lineage) -> int:
        """One above all that were given or used; never given again, even if nothing comes of it."""
        with self._locked():
            count = self._counters().of(lineage)
            counter = max(count.used, count.given) + 1
            self._count(count.model_copy(update={"given": counter}))
        return counter

    def forget_user(self, user: str) -> int:
        """Drop the counters of a user; how many there were."""
        if not (self.root / _COUNTERS).exists():
            return 0
        with self._locked():
            counts = self._counters().counts
            kept = tuple(one for one in counts if one.lineage.user != user)
            self._write_counters(kept)
        return len(counts) - len(kept)

    @property
    def _folder(self) -> Path:
        return self.root / "trusted"

    def _counters(self) -> _Counters:
        path = self.root / _COUNTERS
        if not path.exists():
            return _Counters()
        advice = "restore it; without it, bundles older than the last one used would be accepted again"
        return read_json(_Counters, path, "a record of bundle counters", advice)

    def _count(self, count: _Count) -> None:
        others = tuple(one for one in self._counters().counts if one.lineage != count.lineage)
        self._write_counters((*others, count))

    def _write_counters(self, counts: tuple[_Count, ...]) -> None:
        write_atomically(self.root / _COUNTERS, _Counters(counts=counts).model_dump_json(indent=1).encode())

    def _write_key(self, path: Path, key: VerifyingKey) -> None:
        _private_folder(self._folder)
        write_atomically(path, key.pem)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time, others wait; nobody holds it for longer than a few small writes."""
        _private_folder(self.root)
        handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(handle, wait=True)
            yield
        finally:
            os.close(handle)


def _private_folder(path: Path) -> None:
    if path.is_symlink():
        raise BadInput(f"{path} is a link to elsewhere; put the files themselves there")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_PEM_BYTES)
