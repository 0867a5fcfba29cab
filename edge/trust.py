"""Whose bundles are trusted, and how far each has come: the keys folder, apart from bundles and recordings.

    keys/signing.pem          our signing key (0600), made at first use
    keys/trusted/<name>.pem   public keys whose bundles are opened; this-computer is our own
    keys/counters.json        the highest counter seen of each key, user and target

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
    """Bundles that replace one another: an older one of a lineage is refused once a newer was seen."""

    key: str
    user: str
    target: str


class _Count(_Record):
    lineage: Lineage
    counter: int = Field(ge=1)


class _Counters(_Record):
    schema_version: Literal[1] = 1
    seen: tuple[_Count, ...] = ()


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
        """The highest counter seen; 0 before the first."""
        return max((one.counter for one in self._counters().seen if one.lineage == lineage), default=0)

    def remember(self, lineage: Lineage, counter: int) -> bool:
        """Remember `counter` unless a higher one was seen; whether it may be used. Atomic."""
        with self._locked():
            if counter < self.highest(lineage):
                return False
            self._count(lineage, counter)
        return True

    def next_counter(self, lineage: Lineage) -> int:
        """One above all that were given or seen; never given again, even if nothing comes of it."""
        with self._locked():
            counter = self.highest(lineage) + 1
            self._count(lineage, counter)
        return counter

    def forget_user(self, user: str) -> int:
        """Drop the counters of a user; how many there were."""
        if not (self.root / _COUNTERS).exists():
            return 0
        with self._locked():
            seen = self._counters().seen
            kept = tuple(one for one in seen if one.lineage.user != user)
            self._write_counters(kept)
        return len(seen) - len(kept)

    @property
    def _folder(self) -> Path:
        return self.root / "trusted"

    def _counters(self) -> _Counters:
        path = self.root / _COUNTERS
        if not path.exists():
            return _Counters()
        advice = "restore it; without it, bundles older than the last one used would be accepted again"
        return read_json(_Counters, path, "a record of bundle counters", advice)

    def _count(self, lineage: Lineage, counter: int) -> None:
        others = tuple(one for one in self._counters().seen if one.lineage != lineage)
        self._write_counters((*others, _Count(lineage=lineage, counter=counter)))

    def _write_counters(self, seen: tuple[_Count, ...]) -> None:
        write_atomically(self.root / _COUNTERS, _Counters(seen=seen).model_dump_json(indent=1).encode())

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
