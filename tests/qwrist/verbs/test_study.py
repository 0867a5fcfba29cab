"""`qwrist study` as its user meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml

from personalize import recipe
from personalize.base_users import BASE_USERS
from personalize.study import Plan
from qwrist import app
from qwrist.verbs.study import study
from tests.personalize.emg2qwerty.making import PAPER_STARTS, write_download

Answer = tuple[int, str, str]
TINY = ("--recordings", "3", "--minutes", "0.2", "--steps-fraction", "0.5")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["study", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        application = typer.Typer()
        application.command()(study)
        with pytest.raises(SystemExit) as stop:
            app.run(application)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def small(tmp_path: Path) -> Path:
    fields = recipe.load("paper").model_dump() | {"window_s": 0.5, "warmup_s": 0.1, "batch_windows": 4}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "small.yaml"


def test_a_table_is_computed_once_and_labelled(
    run: Callable[..., Answer], tmp_path: Path, small: Path
) -> None:
    asked = ("--out", tmp_path / "study", "--table", "sessions", "--recipe", small, "--epochs", "1", *TINY)
    assert "to do" in run(*asked, "--dry-run")[1]
    assert not (tmp_path / "study").exists()
    code, out, _ = run(*asked)
    assert code == 0
    told = ("simulated wearer", "1 epoch of 50.0% of their steps, 1.7% of", "val of the best epoch")
    for said in (*told, "1 recording ", "Validation CER by epoch"):
        assert said in out
    (cell,) = (tmp_path / "study" / "cells").glob("*.json")
    written = cell.stat().st_mtime_ns
    found = json.loads(run(*asked, "--json")[1])
    assert found["cells"][0]["key"] == cell.stem
    assert (found["simulated"], found["steps_fraction"]) == (True, 0.5)
    assert cell.stat().st_mtime_ns == written
    plan = Plan.model_validate_json((tmp_path / "study" / "plan.json").read_bytes())
    assert plan.tables == {"sessions": {"1 recording": cell.stem}}


def test_a_folder_that_cannot_be_is_refused(run: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = run("--out", tmp_path / "file", *TINY)
    assert code == 2
    assert "cannot be a folder" in err


def test_a_download_is_planned_by_its_hashes(run: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_download(tmp_path / "data")
    code, out, _ = run(folder, "--dry-run", "--out", tmp_path / "study")
    assert code == 0
    assert "58.3" in out
    assert "simulated" not in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--table", "everything"], "no table 'everything'"),
        (["--wearer", str(BASE_USERS[0])], "the base was trained on"),
        (["--difficulty", "impossible"], "impossible"),
        (["--recipe", "nothing"], "no recipe"),
        (["absent"], "not a folder"),
        (["data"], "17 of the 18"),
    ],
)
def test_wrong_input_is_a_sentence(
    run: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    write_download(tmp_path / "data", PAPER_STARTS[:1])
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert says in err
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_where_its_last_epoch_ended(
    run: Callable[..., Answer], tmp_path: Path, small: Path
) -> None:
    asked = ["--out", str(tmp_path / "killed"), "--table", "architectures", "--recipe", str(small), *TINY]
    asked += ["--epochs", "2"]
    code = "import typer; from qwrist.verbs.study import study; typer.run(study)"
    process = subprocess.Popen([sys.executable, "-c", code, *asked], stderr=subprocess.DEVNULL)
    cells = tmp_path / "killed" / "cells"
    while process.poll() is None and not list(cells.glob("*.safetensors")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (begun,) = cells.glob("*.safetensors")
    first = begun.stat().st_mtime_ns
    resumed = json.loads(run(*asked, "--json")[1])["cells"]
    assert begun.with_suffix(".json").stat().st_mtime_ns > first
    whole = json.loads(run(*asked, "--out", str(tmp_path / "whole"), "--json")[1])["cells"]
    for one, other in zip(resumed, whole, strict=True):
        assert (one["key"], one["test"], one["steps"]) == (other["key"], other["test"], other["steps"])
        losses = [[epoch["loss"] for epoch in cell["epochs"]] for cell in (one, other)]
        assert losses[0] == losses[1]
