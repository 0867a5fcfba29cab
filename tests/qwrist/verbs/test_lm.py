"""`qwrist lm`: a model from text files, shown again, and texts that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge.errors import BadInput
from edge.lm import read_model
from qwrist.verbs import lm

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen.\n" * 5


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(lm.app, [str(argument) for argument in arguments])


def test_a_model_is_built_and_shown(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text("Übermäßig — 世 " * 30, encoding="utf-8")
    out = tmp_path / "mine.qlm"
    texts = ("--text", tmp_path / "a.txt", "--text", tmp_path / "b.txt")
    built = call("build", *texts, "--order", "4", "--note", "two texts", "--out", out, "--json")
    assert built.exit_code == 0
    found = json.loads(built.stdout)
    assert found["left_out"] == 60  # ß and 世
    assert found["bytes"] == out.stat().st_size
    shown = json.loads(call("show", out, "--json").stdout)
    assert shown == {name: found[name] for name in ("order", "n_grams", "contexts", "note")}
    assert (shown["order"], shown["note"]) == (4, "two texts")
    assert read_model(out).order == 4


def test_english_is_shown_by_default() -> None:
    assert json.loads(call("show", "--json").stdout)["order"] == 6


@pytest.mark.parametrize(
    ("name", "content", "extra", "said"),
    [
        ("none.txt", None, (), "cannot be read"),
        ("empty.txt", b"", (), "holds 0 characters"),
        ("bytes.txt", b"\xff\xfe\x00\x01" * 100, (), "not UTF-8"),
        ("good.txt", TEXT.encode(), ("--order", "0"), "order is 0"),
        ("good.txt", TEXT.encode(), ("--out", "mine.arpa"), "ends in .qlm"),
        ("good.txt", TEXT.encode(), ("--out", "nowhere/mine.qlm"), "does not exist"),
    ],
)
def test_what_makes_no_model_is_refused(
    tmp_path: Path, name: str, content: bytes | None, extra: tuple[str, ...], said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = call("build", "--text", tmp_path / name, "--out", tmp_path / "mine.qlm", *extra)
    assert isinstance(result.exception, BadInput)
    assert said in str(result.exception)
    assert not list(tmp_path.glob("*.qlm"))
