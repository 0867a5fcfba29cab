"""The report's page: its sections in order, from what was found."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from edge.charset import CHARSET
from edge.files import made_folder, write_atomically
from edge.store import User
from personalize.html_report import pictures
from personalize.html_report.aligned import Pair, by_hand, cer_of
from personalize.html_report.document import document, scrolled, standalone, table
from personalize.html_report.findings import Findings, find
from personalize.report import FitReport

FILE_NAME: Final = "report.html"
_SAMPLE: Final = 400  # keys shown of the test: about two paragraphs
_SIMULATED: Final = "<p><strong>A simulated wearer: no figure here is a person's.</strong></p>"
_NOTES: Final = {
    "Learning curve": "Validation CER by step; the large dot was kept.",
    "Errors by recording": "A recording is one donning. What trained is read better than what is new; only "
    "the test says how well its wearer is read.",
    "Errors by key": "Of the test recording: the share of presses missed or wrong, of how many, and what the "
    "key was most often taken for. Deeper from 5, 10, 20 and 40 % on; grey keys were never typed.",
    "Errors by finger and hand": "By the finger that touch typing gives the key to; missed or wrong, of what "
    "was typed in the test recording.",
    "Electrodes": "How much worse up to a minute of validation is read without the electrode: nats a key, 0 "
    "for one that is not missed. Numbered as in the recording.",
    "As it was read": "The beginning of the test recording, read greedily: "
    '<span class="typed"><mark>a</mark>[b]</span> a was read for b, <span class="typed"><del>a</del></span> '
    'was missed, <span class="typed"><ins>a</ins></span> was read and never typed.',
    "Recipe": "Everything that decided how the network was trained.",
    "Hashes": "SHA-256 of what this page was made from.",
}


def write_page(user: User, folder: Path) -> Path:
    """Write report.html beside the model in `folder`. Raises BadInput where a recording is gone."""
    path = folder / FILE_NAME
    write_atomically(path, page(find(user, folder)).encode())
    return path


def write_pictures(user: User, folder: Path, out: Path) -> None:
    """Write the page's pictures into the folder `out`, each as an SVG file of its own."""
    made_folder(out)
    found = find(user, folder)
    test = found.pairs("test")
    drawn = {
        "learning-curve": pictures.learning_curve(found.report.evaluations, found.report.best_step),
        "keyboard": pictures.keyboard(test),
        "fingers": pictures.fingers(test),
        "rings": pictures.rings(found.importance),
    }
    for name, svg in drawn.items():
        write_atomically(out / f"{name}.svg", standalone(svg).encode())


def page(found: Findings) -> str:
    """The whole document: the same bytes for the same findings."""
    report, test = found.report, found.pairs("test")
    title = f"{report.user}, model {found.model}"
    recipe = html.escape(report.recipe.model_dump_json(indent=1))
    contents = {
        "Learning curve": scrolled(pictures.learning_curve(report.evaluations, report.best_step))
        + _outlook(report),
        "Errors by recording": _recordings(found),
        "Errors by key": scrolled(pictures.keyboard(test)),
        "Errors by finger and hand": scrolled(pictures.fingers(test)) + _hands(test),
        "Electrodes": scrolled(pictures.rings(found.importance)),
        "As it was read": f'<p class="typed">{_typed(test[:_SAMPLE])}</p>',
        "Recipe": f"<details><summary>{_recipe_line(report)}</summary><pre>{recipe}</pre></details>",
        "Hashes": _hashes(found),
    }
    sections = [
        f'<h2>{name}</h2><p class="note">{_NOTES[name]}</p>{content}' for name, content in contents.items()
    ]
    simulated = _SIMULATED if report.simulated else ""
    heading = f"<h1>{html.escape(title)}</h1>"
    return document(title, [heading, simulated, _summary(found), _warnings(report), *sections])


def _summary(found: Findings) -> str:
    report = found.report
    before = "" if report.test_before is None else f", {report.test_before.percent:.1f} % before"
    why = "" if report.gate is None else f": {report.gate.reason}"
    return (
        f"<p>Test CER <strong>{report.test.percent:.1f} %</strong> of {report.test.length} keys{before}. "
        f"{html.escape(report.network)} from {report.start}, {report.parameters:,} parameters, "
        f"{report.minutes('train'):.1f} minutes to train on. "
        f"Put in use: {'yes' if report.promoted else 'no'}{html.escape(why)}.</p>"
    )


def _warnings(report: FitReport) -> str:
    """What was found in the recordings, and whether the base has met their wearer."""
    leak = None if report.base is None else report.base.leak
    told = [*report.findings, *([] if leak is None else [leak])]
    lines = "".join(f"<li>{html.escape(one)}</li>" for one in told)
    return f"<ul>{lines}</ul>" if lines else ""


def _outlook(report: FitReport) -> str:
    return "" if report.outlook is None else f"<p>{html.escape(report.outlook.text)}.</p>"


def _recipe_line(report: FitReport) -> str:
    recipe = report.recipe
    return html.escape(
        f"{recipe.name}: {recipe.steps:,} steps of {recipe.batch_windows} windows of {recipe.window_s:g} s, "
        f"way {recipe.way}, learning rate {recipe.learning_rate:g}, seed {report.seed}; "
        f"best at step {report.best_step:,}"
    )


def _recordings(found: Findings) -> str:
    lines = []
    for part in found.parts:
        cer = cer_of(part.pairs)
        counts = cer.insertions, cer.deletions, cer.substitutions, cer.length
        percent = f"{cer.percent:.1f} %" if cer.length else "-"
        lines.append((part.session, part.role, f"{part.minutes:.1f}", percent, *map(str, counts)))
    columns = ("recording", "role", "minutes", "CER", "inserted", "missed", "wrong", "keys")
    return table(columns, lines)


def _hands(pairs: Sequence[Pair]) -> str:
    lines = []
    for hand, count in by_hand(pairs).items():
        rate = count.missed_or_wrong_percent
        percent = "-" if rate is None else f"{rate:.1f} %"
        lines.append((hand, percent, *map(str, (count.inserted, count.missed, count.wrong, count.meant))))
    return table(("hand", "missed or wrong", "inserted", "missed", "wrong", "keys"), lines)


def _typed(pairs: Iterable[Pair]) -> str:
    """Runs of one kind under one mark."""
    parts = []
    for mark, run in groupby(pairs, _mark):
        pieces = list(run)
        meant = _text(pair.meant for pair in pieces)
        said = _text(pair.said for pair in pieces)
        match mark:
            case "":
                parts.append(meant)
            case "mark":
                parts.append(f"<mark>{said}</mark>[{meant}]")
            case _:
                parts.append(f"<{mark}>{meant or said}</{mark}>")
    return "".join(parts)


def _mark(pair: Pair) -> str:
    if pair.meant is None:
        return "ins"
    if pair.said is None:
        return "del"
    return "" if pair.meant == pair.said else "mark"


def _text(labels: Iterable[int | None]) -> str:
    return html.escape(CHARSET.render([label for label in labels if label is not None]))


def _hashes(found: Findings) -> str:
    recipe = hashlib.sha256(found.report.recipe.model_dump_json().encode()).hexdigest()
    base = {} if found.report.base is None else {"base": found.report.base.sha256}
    return table(("of", "SHA-256"), [("recipe", recipe), *base.items(), *found.hashes.items()])
