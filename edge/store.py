"""The user store: one folder a user, with their sessions and their models. docs/formats/store.md.

    root/users/<id>/sessions/<name>.hdf5
    root/users/<id>/models/<slot>/          numbered, written whole; `export` adds what it makes of it
    root/users/<id>/models/current.json     which slot is in use, and which were before it
    root/users/<id>/donning.json            how the bands sit today (edge.roll)

Nothing that a user can name leaves their folder; folders are 0700, and reading makes none. What the system
refuses (no right, no room) is a BadInput with its reason.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.documents import first_fault
from edge.errors import BadInput
from edge.files import sync_folder, write_atomically

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SESSION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,127}")  # emg2qwerty's names hold an @
_SLOT: Final = re.compile(r"[0-9]{4,9}")
_NUMBERED: Final = re.compile(r"session-([0-9]{4,9})")
# Windows opens a device for these, whatever follows the first dot.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)

_SESSION_RULE: Final = "use letters, digits, '-', '_', '.' and '@'"

BEYOND_REACH: Final = (
    "models exported or copied to other folders and devices",
    "backups and synchronised copies of this disk",
    "blocks of the disk that were freed and not yet overwritten",
)


@contextmanager
def _with_reasons() -> Iterator[None]:
    """Also a decorator: what the system refuses becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{error.filename or 'the user store'} cannot be used ({error.strerror}); "
            "see to its rights and its disk, or set QWRIST_HOME to another folder"
        ) from error


class Forgotten(NamedTuple):
    """What `forget` removed, and where copies may remain that it cannot reach."""

    files: int
    bytes: int
    beyond_reach: tuple[str, ...] = BEYOND_REACH


class _Pointer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    history: tuple[int, ...] = Field(
        min_length=1
    )  # slots in the order they came into use; the last is current


@dataclass(frozen=True)
class User:
    """One person's folder. Made by UserStore."""

    id: str
    path: Path
    elsewhere: Path | None = None  # where all but recordings is kept instead, by whoever only reads `path`

    def sessions(self) -> list[Path]:
        """The recordings, oldest first: their names sort in time."""
        return self._listed(".hdf5")

    def journals(self) -> list[Path]:
        """What interrupted recordings left behind; edge.sealing.recover seals them."""
        return self._listed(".journal")

    def unsealed(self) -> str | None:
        """Which recordings are journals still, and what seals them, in words; None where there are none."""
        names = [path.stem for path in self.journals()]
        if not names:
            return None
        what = "a recording that is" if len(names) == 1 else f"{len(names)} recordings that are"
        return (
            f"{self.id} has {what} not sealed ({', '.join(names)}); what was cut short is sealed by: "
            f"qwrist recover --user {self.id}"
        )

    def session_path(self, name: str) -> Path:
        """Where the session `name` is or will be. Raises BadInput for a name that could not be a file's."""
        if not _is_session_name(name):
            raise BadInput(f"{name!r} cannot name a session; {_SESSION_RULE}")
        return self._folder("sessions") / f"{name}.hdf5"

    @_with_reasons()
    def new_session_name(self) -> str:
        """A name after all others of the form session-0001, in a folder that is there.

        Two processes can be given the same one; edge.recording.Recorder lets one of them have it.
        """
        _private_folder(self._folder("sessions"))
        taken = [_NUMBERED.fullmatch(path.stem) for path in (*self.sessions(), *self.journals())]
        return f"session-{1 + max((int(match[1]) for match in taken if match), default=0):04d}"

    @_with_reasons()
    def slots(self) -> list[int]:
        """The numbers of the models, oldest first."""
        return sorted(int(p.name) for p in _entries(self._folder("models")) if _SLOT.fullmatch(p.name))

    def slot(self, number: int) -> Path:
        """The folder of the model `number`. Raises BadInput where there is none."""
        path = self._folder("models") / f"{number:04d}"
        if not path.is_dir() or path.is_symlink():
            known = ", ".join(map(str, self.slots())) or "none yet; run: personalize --user " + self.id
            raise BadInput(f"user {self.id} has no model {number} (models: {known})")
        return path

    @contextmanager
    def new_slot(self) -> Iterator[Path]:
        """Give a folder to fill; it becomes the next slot if the block ends well and is removed otherwise."""
        models = self._folder("models")
        with _with_reasons():
            folder = Path(tempfile.mkdtemp(dir=_private_folder(models), prefix=".new-"))
        try:
            yield folder
            with _with_reasons():
                folder.rename(models / f"{max(self.slots(), default=0) + 1:04d}")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sync_folder(models)

    @_with_reasons()
    def promote(self, number: int) -> None:
        """Make the model `number` the current one, atomically."""
        self.slot(number)
        history = [n for n in self._history() if n != number]
        self._point(*history, number)

    @_with_reasons()
    def current(self) -> Path | None:
        """The folder of the model in use; None before the first was promoted."""
        history = self._history()
        return self.slot(history[-1]) if history else None

    @_with_reasons()
    def rollback(self) -> Path:
        """Go back to the model that was in use before. Raises BadInput where there was none."""
        history = self._history()
        if len(history) < 2:
            raise BadInput(f"user {self.id} has no earlier model to go back to")
        path = self.slot(history[-2])
        self._point(*history[:-1])
        return path

    def scratch(self, name: Literal["frames", "unfinished"]) -> Path:
        """Where what can be made again is kept; who writes makes it, and `forget` removes it too."""
        return self._folder(name)

    @property
    def donning(self) -> Path:
        """Where it is told how the bands sit today: edge.roll. It may not be there."""
        return self._folder("donning.json")

    @property
    def _pointer(self) -> Path:
        return self._folder("models") / "current.json"

    def _point(self, *history: int) -> None:
        write_atomically(self._pointer, _Pointer(history=history).model_dump_json().encode())

    def _history(self) -> tuple[int, ...]:
        try:
            return _Pointer.model_validate_json(self._pointer.read_bytes()).history
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise BadInput(
                f"{self._pointer} is damaged ({first_fault(error)}); delete it and promote a model"
            ) from None

    def _folder(self, name: str) -> Path:
        path = (self.path if name == "sessions" else self.elsewhere or self.path) / name
        _refuse_link(path)
        return path

    @_with_reasons()
    def _listed(self, suffix: str) -> list[Path]:
        entries = _entries(self._folder("sessions"))
        paths = sorted(p for p in entries if p.suffix == suffix and not p.name.startswith("."))
        for path in paths:
            _refuse_link(path)
            if not _is_session_name(path.stem):
                raise BadInput(f"{path} has a name that no session can have; rename it: {_SESSION_RULE}")
        return paths


@dataclass(frozen=True)
class UserStore:
    """All users under one root folder, which is made when the first user is."""

    root: Path

    @classmethod
    def default(cls) -> Self:
        """Where QWRIST_HOME says, or where this system keeps a user's data."""
        home = os.environ.get("QWRIST_HOME")
        if home:
            return cls(Path(home))
        import platformdirs

        return cls(platformdirs.user_data_path("qwrist", appauthor=False))

    @_with_reasons()
    def users(self) -> list[str]:
        """The ids of all users, sorted."""
        return sorted(p.name for p in _entries(self._users) if is_user_id(p.name) and p.is_dir())

    @_with_reasons()
    def user(self, user_id: str) -> User:
        """An existing user. Raises BadInput, naming the known users, for any other id."""
        _check_id(user_id)
        path = self._users / user_id
        _refuse_link(path)
        if not path.is_dir():
            known = ", ".join(self.users()) or "none"
            raise BadInput(
                f"there is no user {user_id!r} (known: {known}); record one with: "
                f"qwrist enroll --user {user_id}"
            )
        return User(user_id, path)

    @_with_reasons()
    def create(self, user_id: str) -> User:
        """A new user. Raises BadInput for an id that is taken or cannot be one."""
        _check_id(user_id)
        if (self._users / user_id).exists():
            raise BadInput(f"the user {user_id!r} exists already; choose another id or record more sessions")
        user = User(user_id, self._users / user_id)
        for folder in (self.root, self._users, user.path, user.path / "sessions", user.path / "models"):
            _private_folder(folder)
        return user

    def forget(self, user_id: str) -> Forgotten:
        """Remove all that is kept of a user. Raises BadInput where something could not be removed."""
        user = self.user(user_id)
        sizes = [p.lstat().st_size for p in user.path.rglob("*") if p.is_symlink() or not p.is_dir()]
        try:
            shutil.rmtree(user.path)
        except OSError as error:
            raise BadInput(
                f"{error.filename} could not be removed ({error.strerror}); remove it yourself"
            ) from error
        sync_folder(self._users)
        return Forgotten(len(sizes), sum(sizes))

    @property
    def _users(self) -> Path:
        return self.root / "users"


def is_user_id(text: str) -> bool:
    """Whether `text` can be a user's id on every system."""
    return _ID.fullmatch(text) is not None and not _is_device(text)


def _check_id(user_id: str) -> None:
    if not is_user_id(user_id):
        raise BadInput(
            f"{user_id!r} cannot be a user id; use 1 to 32 of a-z, 0-9, '-' and '_', "
            "starting with a letter or digit, and no Windows device name"
        )


def _is_session_name(text: str) -> bool:
    return _SESSION_NAME.fullmatch(text) is not None and not _is_device(text)


def _is_device(name: str) -> bool:
    return name.split(".", 1)[0].lower() in _DEVICES


def _private_folder(path: Path) -> Path:
    _refuse_link(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise BadInput(f"{path} is a link to elsewhere; put the files themselves there")
