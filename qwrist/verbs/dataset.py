"""`qwrist dataset`: check a download of emg2qwerty, and take over the networks that come with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edge.extras import require
from edge.quality import Severity
from edge.session import Session
from personalize.emg2qwerty import check as checking
from personalize.emg2qwerty.check import Checked, Finding
from personalize.emg2qwerty.files import Download, open_download, read_manifest
from personalize.emg2qwerty.splits import find_split, read_split, user_id
from qwrist import ui
from qwrist.verbs.users import AsJson

FAILED = 1

app = typer.Typer(no_args_is_help=True, help="Real recordings: the emg2qwerty data set and its networks.")

Folder = Annotated[Path, typer.Argument(help="The folder that emg2qwerty was unpacked into.")]
SplitName = Annotated[
    str | None,
    typer.Option("--split", help="generic, single_user, user0 to user7, or a .yaml file of its config/user."),
]


@app.command("check")
def check(
    folder: Folder,
    manifest: Annotated[
        Path | None, typer.Option(help="SHA-256 sums: a CSV of session_file, sha256, bytes, or sha256sum's.")
    ] = None,
    split: SplitName = None,
    base: Annotated[
        Path | None, typer.Option(help="A base's folder: whom was it trained on that --split tests?")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Read this person's recordings only.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the recordings.")] = False,
    as_json: AsJson = False,
) -> None:
    """Is the download whole and what was published, and what may be claimed from it? Exit code 1 if not."""
    download = open_download(folder)
    with ui.steps("checking") as looking:
        findings = list(checking.check_layout(download))
        if manifest is not None:
            findings += checking.check_hashes(download, read_manifest(manifest), looking)
        if split is not None:
            findings += _of_split(download, split, base)
        names = [] if quick else _of_user(download, user)
        read = list(_figures(download, names, looking, findings))
    checked = Checked(
        len(download.files),
        len({user for user, _, _ in read}),
        sum(minutes for _, minutes, _ in read),
        sum(keys for _, _, keys in read),
        tuple(findings),
    )
    _render(folder, checked, as_json=as_json)
    if not checked.passed:
        raise typer.Exit(FAILED)


@app.command("import")
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="A .ckpt file of emg2qwerty or of the seed paper.")],
    out: Annotated[Path, typer.Option(help="The folder of the base that it becomes.")],
    trained_on: Annotated[
        Path | None, typer.Option(help="The split it was trained on, a .yaml of config/user, for its card.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take over a published network as a base: read as data, proved by a second evaluation."""
    require("torch", "train")
    from personalize import base
    from personalize.emg2qwerty.importing import import_checkpoint

    people = () if trained_on is None else tuple(sorted(read_split(trained_on).training_users))
    imported = import_checkpoint(checkpoint)
    card = base.imported_card(
        imported.network, command=f"qwrist dataset import {checkpoint.name}", people=people
    )
    base.write(imported.network, card, out, half=False)
    facts = {
        "network": imported.network.name,
        "parameters": imported.parameters,
        "max_delta_log_p": imported.max_delta,
        "norm_mean": round(imported.norm_mean, 3),
        "norm_variance": round(imported.norm_variance, 3),
        "trained_on": f"{len(people)} people" if people else "unknown: no card can warn of a leak",
        "folder": str(out),
    }
    if as_json:
        ui.emit_json(facts)
    else:
        ui.facts("Taken over", facts)


def _of_split(download: Download, name: str, base: Path | None) -> list[Finding]:
    split = find_split(name, download.folder, download.listed)
    findings = [Finding(Severity.OK, f"split {split.name}", f"known from {split.source}", "")]
    findings += checking.check_split(download, split)
    findings += checking.published_leaks(download, split)
    if base is not None:
        require("torch", "train")
        from personalize import base as bases

        for card in bases.cards(base):
            findings += checking.leaks(split.test, card.people, f"the base in {base}")
    return findings


def _of_user(download: Download, user: str | None) -> list[str]:
    if user is None:
        return list(download.files)
    rows = download.rows or {}
    return [n for n in download.files if n not in rows or user_id(rows[n].user) == user_id(user)]


def _figures(
    download: Download, names: list[str], looking: checking.Looking, findings: list[Finding]
) -> Iterator[tuple[str, float, int]]:
    """User, minutes and keys of each recording that can be read; what is found goes to `findings`."""
    for result in checking.read_all(download, names, looking):
        if isinstance(result, Session):
            yield user_id(result.user), result.duration_s / 60, len(result.keys)
        else:
            findings.append(result)


def _render(folder: Path, checked: Checked, *, as_json: bool) -> None:
    if as_json:
        findings = [f._asdict() | {"severity": f.severity.name.lower()} for f in checked.findings]
        ui.emit_json(
            checked._asdict() | {"folder": str(folder), "passed": checked.passed, "findings": findings}
        )
        return
    ui.facts(
        str(folder),
        {
            "recordings": checked.files,
            "read": f"{checked.minutes:.1f} min of {checked.users} people, {checked.keys:,} keys",
            "verdict": "usable" if checked.passed else "not usable as it is",
        },
    )
    for finding in checked.findings:
        remark = f"{finding.what}; {finding.advice}" if finding.advice else finding.what
        ui.say(f"{finding.severity.name.lower():<4} {finding.where}: {remark}")  # a table would break names
