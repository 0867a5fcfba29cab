"""`qwrist bundle`: facts for people and machines, exit codes, and keys that travel as files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.bundle import open_bundle
from edge.trust import TrustStore
from qwrist import app
from qwrist.verbs import bundles
from tests.conftest import Answer
from tests.export.bundle.making import make_bundle

Run = Callable[..., Answer]


@pytest.fixture
def bundle_verb(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["qwrist bundle", *map(str, arguments)])
        code = 0
        try:
            app.run(bundles.app)
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    assert not home.exists()
    return call


@pytest.fixture
def two(tmp_path: Path, bundle_verb: Run) -> tuple[Path, Path]:  # noqa: ARG001  (its home is set)
    for name in ("a", "b"):
        make_bundle(tmp_path / name, TrustStore.default())
    return tmp_path / "a", tmp_path / "b"


def test_inspect_gives_facts_to_people_and_machines(two: tuple[Path, Path], bundle_verb: Run) -> None:
    shown = bundle_verb("inspect", two[0])
    assert shown.code == 0
    for words in ("ada, phone", "907,747 parameters", "model_0.tflite", "simulated wearer", "signed by"):
        assert words in shown.out
    facts = json.loads(bundle_verb("inspect", two[0], "--json").out)
    assert (facts["user"], facts["counter"], facts["test_cer_percent"]) == ("ada", 1, 18.3)


def test_verify_says_yes_or_why_not(two: tuple[Path, Path], bundle_verb: Run) -> None:
    a, b = two
    good = bundle_verb("verify", a, "--user", "ada")
    assert (good.code, good.err) == (0, "")
    assert "whole, of ada, number 1 for phone, signed by this-computer" in good.out
    wrong = bundle_verb("verify", a, "--user", "eve")
    assert (wrong.code, wrong.out) == (2, "")
    assert "is a bundle of user 'ada', not of 'eve'" in wrong.err
    open_bundle(b, TrustStore.default())
    older = bundle_verb("verify", a, "--json")
    assert older.code == 2
    assert json.loads(older.out)["reason"] == "older counter"
    (b / "model.json").write_bytes(b"{}")
    altered = bundle_verb("verify", b)
    assert altered.code == 2
    assert altered.err.startswith("qwrist: ")
    assert "Traceback" not in altered.err
    assert json.loads(bundle_verb("verify", b, "--json").out)["verified"] is False
    assert bundle_verb("verify", a.parent / "nowhere").code == 2


def test_diff_names_what_differs(two: tuple[Path, Path], bundle_verb: Run) -> None:
    a, b = two
    shown = bundle_verb("diff", a, b)
    assert shown.code == 0
    assert "counter" in shown.out
    assert {fact["fact"] for fact in json.loads(bundle_verb("diff", a, b, "--json").out)["facts"]} >= {
        "counter"
    }
    assert "hold the same" in bundle_verb("diff", a, a).out


def test_a_key_travels_as_a_file(
    two: tuple[Path, Path], bundle_verb: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "desk.pem"
    pem.write_text(bundle_verb("key").out)
    shutil.copytree(two[0], tmp_path / "copy")
    monkeypatch.setenv("QWRIST_HOME", str(tmp_path / "phone"))
    unknown = bundle_verb("verify", tmp_path / "copy")
    assert unknown.code == 2
    assert "qwrist bundle trust NAME KEYFILE" in unknown.err
    assert bundle_verb("trust", "desk", pem).code == 0
    assert "signed by desk" in bundle_verb("verify", tmp_path / "copy").out
    assert bundle_verb("trust", "desk", tmp_path / "nowhere.pem").code == 2
    assert bundle_verb("trust", "../desk", pem).code == 2
