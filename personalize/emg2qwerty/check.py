"""Whether an emg2qwerty download is whole, is what was published, and what must not be claimed from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

from edge.errors import BadSession
from edge.quality import Severity
from edge.session import Session, read_session
from personalize.emg2qwerty.files import METADATA, Download, Expected, Row, mismatch
from personalize.emg2qwerty.splits import HELD_OUT, Listed, Split, generic_users, started, user_id

_MINUTES_TOLERANCE: Final = 0.01  # metadata.csv is rounded; a sample is 8e-6 minutes

Looking = Callable[[str, int, int], None]
"""Told before each file: what is done with which, its number, and how many there are."""


class Finding(NamedTuple):
    """One thing about a download, and what to do about it."""

    severity: Severity
    where: str  # a file, a user or a split
    what: str
    advice: str


class Checked(NamedTuple):
    """What was looked at and what came of it."""

    files: int
    users: int
    minutes: float
    keys: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Nothing that a training would stumble over."""
        return all(finding.severity is not Severity.FAIL for finding in self.findings)


def check_layout(download: Download) -> Iterator[Finding]:
    """metadata.csv against the files that are there."""
    if download.rows is None:
        yield Finding(
            Severity.WARN,
            METADATA,
            "is not there, so nothing says which recordings should be",
            "unpack it beside the recordings; splits by rule and by the paper need it",
        )
        return
    for name in sorted(download.files.keys() - download.rows.keys()):
        yield Finding(
            Severity.WARN, name, f"is not in {METADATA}", "move what is not of the data set elsewhere"
        )
    absent = sorted(download.rows.keys() - download.files.keys())
    if absent:
        yield Finding(
            Severity.WARN,
            METADATA,
            f"names {len(absent)} recordings that are not here, {absent[0]} first",
            "a part of the data set is fine to train on; download the rest for its published splits",
        )
    tagged = [row for row in download.rows.values() if row.quality_check_tags not in ("", "[]")]
    for row in tagged:
        yield Finding(
            Severity.WARN,
            row.session,
            f"was tagged by its authors: {row.quality_check_tags}",
            "leave it out where one bad recording would count",
        )


def check_hashes(download: Download, manifest: dict[str, Expected], looking: Looking) -> Iterator[Finding]:
    """The files against a manifest of hashes."""
    for number, (name, expected) in enumerate(sorted(manifest.items())):
        looking(f"hashing {name}", number, len(manifest))
        path = download.folder / name
        if not path.is_file():
            yield Finding(Severity.WARN, name, "is in the manifest and not here", "download it")
        elif (difference := mismatch(path, expected)) is not None:
            yield Finding(Severity.FAIL, name, difference, "download it again")
    for name in sorted({path.name for path in download.files.values()} - manifest.keys()):
        yield Finding(
            Severity.WARN, name, "is not in the manifest", "nothing says that it is what was published"
        )


def read_all(download: Download, names: Collection[str], looking: Looking) -> Iterator[Session | Finding]:
    """Read recordings by the reader that training uses: each as it is, or why it is none."""
    for number, name in enumerate(sorted(names)):
        looking(f"reading {name}", number, len(names))
        try:
            session = read_session(download.files[name])
        except BadSession as error:
            yield Finding(Severity.FAIL, name, str(error), "download it again, or leave it out")
            continue
        yield session
        yield from _against(session, name, None if download.rows is None else download.rows.get(name))


def _against(session: Session, name: str, row: Row | None) -> Iterator[Finding]:
    """A recording against its file name and its line of metadata.csv."""
    fail, warn = Severity.FAIL, Severity.WARN
    facts: list[tuple[Severity, str, object, object]] = [(fail, "session_name", session.name, name)]
    if row is not None:
        minutes = float(session.time_s[-1] - session.time_s[0]) / 60
        facts.append((fail, "user", user_id(session.user), user_id(row.user)))
        facts.append((warn, "number of keystrokes", len(session.keys), row.num_keystrokes))
        if abs(minutes - row.duration_mins) > _MINUTES_TOLERANCE:
            facts.append((warn, "length in minutes", round(minutes, 2), row.duration_mins))
    for severity, what, found, expected in facts:
        if found != expected:
            advice = "files may have been swapped: compare their hashes with --manifest"
            yield Finding(severity, name, f"its {what} is {found}, expected {expected}", advice)
    if not session.on_keyboard:
        advice = "its prompts are its labels, without the times of keys"
        yield Finding(Severity.WARN, name, f"its condition is {session.condition!r}", advice)
    elif not session.labels:
        yield Finding(Severity.FAIL, name, "it holds no key of the charset", "leave it out")
    if started(name) is None:
        yield Finding(Severity.WARN, name, "its name does not say when it began", "keep the published names")


def check_split(download: Download, split: Split) -> Iterator[Finding]:
    """Whether a split can be trained and tested on, and what may not be said of its figures."""
    for part, wanted in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        missing = [listed.session for listed in wanted if listed.session not in download.files]
        if missing:
            yield Finding(
                Severity.WARN,
                f"split {split.name}",
                f"lacks {len(missing)} of its {len(wanted)} {part} recordings, {missing[0]} first",
                "figures on fewer recordings are not the published split's",
            )
    both = split.training_users & {listed.user for listed in split.test}
    if split.name == "generic" and both:
        yield Finding(
            Severity.FAIL,
            f"split {split.name}",
            f"tests on people that it trains on: {', '.join(sorted(both))}",
            "a generic model is tested on people whom it has not met",
        )


def leaks(tested: Collection[Listed], trained_on: Collection[str], base: str) -> Iterator[Finding]:
    """Everybody whose recordings test and whom `base` was trained on: such a CER is not a held-out figure."""
    known = {user_id(user) for user in trained_on}
    for user in sorted({listed.user for listed in tested} & known):
        yield Finding(
            Severity.WARN,
            f"user {user}",
            f"{base} was trained on this person's recordings",
            "what is fine-tuned from it and tested on them has seen the test: start from scratch, or test on "
            f"one of the eight held out ({', '.join(HELD_OUT[:3])}, ...)",
        )


def published_leaks(download: Download, split: Split) -> Iterator[Finding]:
    """`leaks` of the published generic.ckpt, by the rule that made its split."""
    generic = generic_users(row.listed for row in (download.rows or {}).values())
    yield from leaks(split.test, generic, "the published generic.ckpt")
