"""Splits of emg2qwerty: which recordings train, choose and test, as published or by the published rule.

The facts are of arXiv 2410.20081, section 5, and of the `config/user` folder beside the data set's code:
eight people are held out; of everybody else with at least four recordings two validate, the rest train.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.documents import first_fault
from edge.errors import BadInput

HELD_OUT: Final = (  # the eight whom nothing generic was trained on, as user0 to user7
    "43037958",
    "5775561",
    "71786456",
    "18243794",
    "43359267",
    "67011593",
    "75228805",
    "14989984",
)
_VALIDATE: Final = 2  # recordings of each person of the generic split
_FEWEST: Final = 4  # recordings of a person in the generic split: two to train on, two to validate

PAPER_USER: Final = "89335547"  # the seed paper's one person
# Their 18 recordings, by the start of each (unix), in the order in which the published split names them.
PAPER_TRAINING: Final = (
    *(1622765527, 1622681518, 1622863166, 1627003020, 1626916256, 1627004019, 1622885888, 1622679967),
    *(1622764398, 1626917264, 1622889105, 1622766673, 1622861066, 1627001995, 1622884635, 1626915176),
)
PAPER_VALIDATION: Final = 1622862148
PAPER_TEST: Final = 1622682789


class Listed(NamedTuple):
    """One recording of a split."""

    user: str  # without leading zeros: the data set writes its ids both ways
    session: str  # the file's name without .hdf5


class Split(NamedTuple):
    """Who trains, chooses and tests, and where that is known from."""

    name: str
    train: tuple[Listed, ...]
    validation: tuple[Listed, ...]
    test: tuple[Listed, ...]
    source: str

    @property
    def training_users(self) -> frozenset[str]:
        """Everybody whom a network of this split has met, if only to choose an epoch by."""
        return frozenset(listed.user for listed in (*self.train, *self.validation))

    @property
    def sessions(self) -> tuple[Listed, ...]:
        """All of them."""
        return (*self.train, *self.validation, *self.test)


class _Theirs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Entry(_Theirs):
    user: int | str
    session: str


class _Parts(_Theirs):
    train: tuple[_Entry, ...]
    val: tuple[_Entry, ...] = ()
    test: tuple[_Entry, ...] = ()


class _File(_Theirs):
    user: str = Field(min_length=1)
    dataset: _Parts


def user_id(user: int | str) -> str:
    """An id as it is compared: emg2qwerty writes 9456349 here and 09456349 there."""
    return str(user).lstrip("0") or "0"


def started(session: str) -> int | None:
    """When a recording began, unix seconds: the ten digits in its name; None where it has none."""
    found = [part for part in session.replace("_", "-").split("-") if len(part) == 10 and part.isdigit()]
    return int(found[0]) if found else None


def read_split(path: Path) -> Split:
    """A published split: a YAML file of emg2qwerty's `config/user`. Raises BadInput."""
    try:
        found = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; name a file of config/user") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise BadInput(f"{path} is not a split of emg2qwerty: {first_fault(error)}") from None
    parts = found.dataset
    return _checked(
        Split(found.user, _listed(parts.train), _listed(parts.val), _listed(parts.test), str(path)), path
    )


def generic_by_rule(sessions: Iterable[Listed]) -> Split:
    """The generic split by its published rule.

    The rule draws the two that validate; which it drew only the published file says. Here they are each
    person's last two. Everything of the eight held out tests.
    """
    of_user: defaultdict[str, list[Listed]] = defaultdict(list)
    for listed in sorted(sessions, key=lambda listed: (started(listed.session) or 0, listed.session)):
        of_user[listed.user].append(listed)
    held_out = [listed for user in sorted(of_user) if user in HELD_OUT for listed in of_user[user]]
    enough = [of_user[user] for user in sorted(of_user) if user not in HELD_OUT]
    enough = [theirs for theirs in enough if len(theirs) >= _FEWEST]
    return Split(
        "generic",
        tuple(listed for theirs in enough for listed in theirs[:-_VALIDATE]),
        tuple(listed for theirs in enough for listed in theirs[-_VALIDATE:]),
        tuple(held_out),
        "its published rule, each person's last two recordings validating",
    )


def single_user(sessions: Sequence[Listed], training: int = len(PAPER_TRAINING)) -> Split:
    """The seed paper's split of one person, its first `training` recordings. Raises BadInput if one lacks.

    Which of the 16 the paper left out to train on 13 and 11 it does not say; here it is the last ones.
    """
    if not 1 <= training <= len(PAPER_TRAINING):
        raise BadInput(f"the paper's split trains on 1 to {len(PAPER_TRAINING)} recordings, not {training}")
    by_start = {started(listed.session): listed for listed in sessions if listed.user == PAPER_USER}
    wanted = (*PAPER_TRAINING[:training], PAPER_VALIDATION, PAPER_TEST)
    missing = [start for start in wanted if start not in by_start]
    if missing:
        raise BadInput(
            f"{len(missing)} of the {len(wanted)} recordings of user {PAPER_USER} that the paper used are "
            f"missing, the one of {missing[0]} first; look with: qwrist dataset check PATH"
        )
    *train, validation, test = (by_start[start] for start in wanted)
    source = f"the paper's, {training} recordings"
    return Split("single_user", tuple(train), (validation,), (test,), source)


def find_split(name: str, folder: Path, sessions: Sequence[Listed]) -> Split:
    """A split by name, of the recordings in `folder`: published there or beside, or by rule. Raises BadInput.

    `name` is generic, single_user, user0 to user7, or a .yaml file.
    """
    if name.endswith((".yaml", ".yml")):
        return read_split(Path(name))
    for published in (folder / "config" / "user", folder.parent / "config" / "user"):
        if (file := published / f"{name}.yaml").is_file():
            return read_split(file)
    match name:
        case "generic":
            return generic_by_rule(sessions)
        case "single_user":
            return single_user(sessions)
        case _:
            raise BadInput(
                f"there is no {name}.yaml in config/user beside {folder}; name the file, or generic or "
                "single_user, which are known without one"
            )


def generic_users(sessions: Iterable[Listed]) -> frozenset[str]:
    """Everybody in whom the published generic model was trained: all with enough recordings but the eight."""
    return generic_by_rule(sessions).training_users


def _listed(entries: Sequence[_Entry]) -> tuple[Listed, ...]:
    return tuple(Listed(user_id(entry.user), entry.session) for entry in entries)


def _checked(split: Split, path: Path) -> Split:
    seen: set[str] = set()
    for listed in split.sessions:
        if listed.session in seen:
            raise BadInput(f"{path} names {listed.session} twice: what trains must not choose or test")
        seen.add(listed.session)
    return split
