"""The page: whole in itself, well formed, and saying what was found."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.scoring import score
from personalize import recipe
from personalize.html_report import pictures
from personalize.html_report.aligned import align
from personalize.html_report.document import standalone
from personalize.html_report.findings import Findings, HeardPart
from personalize.html_report.page import page
from personalize.report import BaseRecord, CerRecord, EvaluationRecord, FitReport, PartRecord

MEANT, SAID = CHARSET.labels("a<b&c hello"), CHARSET.labels("a<v&c helxlo")


@pytest.fixture
def found() -> Findings:
    cer = CerRecord.of(score(MEANT, SAID))
    report = FitReport(
        user="ann",
        network="streaming",
        start="base",
        recipe=recipe.load("finetune"),
        seed=0,
        simulated=True,
        parts=(PartRecord(session="s2", role="test", start_s=0, minutes=1, labels=len(MEANT)),),
        parameters=1000,
        steps=20,
        best_step=20,
        evaluations=(
            EvaluationRecord(step=10, loss=2, validation_cer_percent=40),
            EvaluationRecord(step=20, loss=1, validation_cer_percent=12),
        ),
        validation=cer,
        test_before=None,
        test=cer,
        promoted=True,
        wall_time_s=1,
    )
    part = HeardPart("s2", "test", 1.0, tuple(align(MEANT, SAID)))
    ring = np.linspace(-0.1, 1, 16, dtype=np.float32)
    return Findings("0001", report, (part,), {"left": ring, "right": ring[::-1]}, {"weights": "ab" * 32})


def test_it_needs_nothing_from_anywhere(found: Findings) -> None:
    text = page(found)
    assert not re.search(r"<script|<link|<img|@import|url\(|\bsrc=|\bhref=", text)
    assert set(re.findall(r"https?://[^\"\s]+", text)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, not fetched


def test_it_is_told_in_words_too(found: Findings) -> None:
    text = page(found)
    names = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', text)
    assert len(names) == text.count("<svg ") == 4
    assert "best 12.0 % at step 20" in names[0]
    assert "b 100 %" in names[1]
    assert "A simulated wearer" in text
    assert "prefers-color-scheme: dark" in text


def test_what_was_typed_is_escaped_and_its_errors_are_marked(found: Findings) -> None:
    assert '<p class="typed">a&lt;<mark>v</mark>[b]&amp;c hel<ins>x</ins>lo</p>' in page(found)


def test_whatever_casts_doubt_on_the_figures_stands_at_the_top(found: Findings) -> None:
    record = BaseRecord(sha256="cd" * 32, command="made", met=("ann",))
    report = found.report.model_copy(update={"findings": ("s1: <dead>",), "base": record})
    text = page(replace(found, report=report))
    top = text[: text.index("<h2>")]
    assert "<li>s1: &lt;dead&gt;</li>" in top
    assert "made of recordings of ann" in top
    assert "cd" * 32 in text
    assert "<li>" not in page(found)


def test_the_recipe_and_every_hash_are_there(found: Findings) -> None:
    text = html.unescape(page(found))
    assert found.report.recipe.model_dump_json(indent=1) in text
    for name, value in found.hashes.items():
        assert f"<td>{name}</td><td>{value}</td>" in text


def test_pictures_are_files_of_their_own_and_well_formed(found: Findings) -> None:
    pairs = found.pairs("test")
    for picture in (
        pictures.learning_curve(found.report.evaluations, found.report.best_step),
        pictures.keyboard(pairs),
        pictures.fingers(pairs),
        pictures.rings(found.importance),
    ):
        ElementTree.fromstring(standalone(picture))


def test_most_needed_electrodes_are_named(found: Findings) -> None:
    assert "left: 15, 14, 13; right: 0, 1, 2" in pictures.rings(found.importance)
