"""The model card: every figure is a report's, every caveat is there, and what no report says is not said."""

from __future__ import annotations

import json
import re

from export.bundle.figures import Reports, read_reports
from export.card import Timing, model_card
from tests.edge.bundle.making import make_model
from tests.export.bundle.making import CER, FIT, PARITY

TEACHER = {"network": "tds", "parameters": 5_293_315, "test": {**CER, "percent": 12.5}}


def reports(**fit: object) -> Reports:
    parity = json.dumps(PARITY).replace("model_0.tflite", "model.tflite")
    return read_reports({"report.json": json.dumps(FIT | fit).encode(), "parity.json": parity.encode()})


def test_figures_are_those_of_the_reports() -> None:
    card = model_card(make_model(), reports())
    assert "| test | 18.3 % | 4 | 43 | 26 | 399 |" in card
    assert "| test, before personalising | 46.1 % |" in card
    assert "3.1 to train on" in card
    assert "907,747 parameters" in card
    assert "| `model.tflite` | litert | float32 | frames | 32 ms | 0.00 MB | 384 B |" in card
    assert "| 2.0e-05 | identical | 18.3 % |" in card
    assert "teacher" not in card
    assert "real-time" not in card


def test_a_pupil_names_its_teacher_and_what_it_costs() -> None:
    card = model_card(make_model(), reports(teacher=TEACHER))
    assert "Taught by the same person's tds network of 5,293,315 parameters" in card
    assert "| test, its teacher (tds) | 12.5 % |" in card


def test_timings_name_their_machine() -> None:
    card = model_card(make_model(), reports(), [Timing("model.tflite", 0.5, 0.9, 0.0156)], "a desk")
    assert "| `model.tflite` | 0.50 ms | 0.90 ms | 0.016 |" in card
    assert "Measured on a desk, one thread; a phone or microcontroller differs." in card


def test_without_reports_there_are_no_figures() -> None:
    card = model_card(make_model(artifacts=()), Reports())
    assert "%" not in card
    assert "CER" not in card
    assert "was loaded" not in card


def test_caveats_are_always_there() -> None:
    for model in (make_model(), make_model(artifacts=(), simulated=False)):
        card = model_card(model, Reports())
        for words in ("biometric", "not a medical device", "ada and nobody else"):
            assert words in card
        assert ("The wearer is simulated" in card) == model.simulated


def test_tables_are_whole() -> None:
    card = model_card(make_model(), reports(teacher=TEACHER), [Timing("model.tflite", 0.5, 0.9, 0.01)])
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert "\n\n\n" not in card
