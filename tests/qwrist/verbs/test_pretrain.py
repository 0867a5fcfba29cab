"""`qwrist pretrain` as its user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml

from personalize import base, recipe
from personalize.emg2qwerty.splits import HELD_OUT
from qwrist import app
from qwrist.verbs import pretrain as verb
from tests.personalize.emg2qwerty.making import name_of, write_metadata, write_recording

Answer = tuple[int, str, str]
PEOPLE = {"1": 5, "22": 4, "333": 3, HELD_OUT[0]: 2}  # recordings of each; 333 has too few for the split


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["pretrain", *map(str, arguments)])
        application = typer.Typer()
        application.command()(verb.pretrain)
        with pytest.raises(SystemExit) as stop:
            app.run(application)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    starts = iter(range(1_600_000_000, 1_600_001_000))
    recordings = [(next(starts), user) for user, count in PEOPLE.items() for _ in range(count)]
    for start, user in recordings:
        write_recording(folder, start, user=user)
    write_metadata(folder, recordings)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    fields = recipe.load("streaming").model_dump() | {"window_s": 0.4, "warmup_s": 0.0, "batch_windows": 2}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "small.yaml"


def test_a_base_of_a_download_keeps_the_published_split(
    run: Callable[..., Answer], folder: Path, small: Path, tmp_path: Path
) -> None:
    asked = (folder, "--out", tmp_path / "base", "--recipe", small, "--steps", "2", "--json")
    planned = json.loads(run(*asked, "--dry-run")[1])
    assert planned == {"train": {"1": 3, "22": 2}, "validation": {"1": 2, "22": 2}, "test": {HELD_OUT[0]: 2}}
    assert not (tmp_path / "base").exists()
    code, out, _ = run(*asked)
    assert code == 0
    card = base.card("streaming", tmp_path / "base")
    assert card.people == ("1", "22")
    assert list(card.zero_shot_cer_percent) == [HELD_OUT[0]]
    assert json.loads(out)["sha256"] == card.sha256
    assert base.load("streaming", tmp_path / "base").name == "streaming"


def test_what_is_not_here_is_left_out_and_said(
    run: Callable[..., Answer], folder: Path, tmp_path: Path
) -> None:
    (folder / f"{name_of(1_600_000_000)}.hdf5").unlink()
    split = tmp_path / "mine.yaml"
    entry = {"user": 1, "session": name_of(1_600_000_000)}
    other = {"user": 1, "session": name_of(1_600_000_001)}
    parts = {"train": [entry, other], "val": [{"user": 22, "session": name_of(1_600_000_005)}]}
    split.write_text(yaml.safe_dump({"user": "mine", "dataset": parts}))
    code, out, err = run(folder, "--out", tmp_path / "base", "--split", split, "--dry-run", "--json")
    assert code == 0
    assert "1 recordings of" in err
    assert json.loads(out)["train"] == {"1": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--network", "transformer"], "transformer"),
        (["--difficulty", "impossible"], "impossible"),
        (["absent"], "not a folder"),
        (["data", "--minutes", "120", "--memory"], "--minutes"),
    ],
)
def test_wrong_input_is_a_sentence(
    run: Callable[..., Answer],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(folder.parent)
    if "--memory" in arguments:
        arguments = arguments[:-1]
        monkeypatch.setattr(verb, "_memory_bytes", lambda: 1 << 30)
    code, _, err = run(*arguments, "--out", "base")
    assert code == 2
    assert says in err
    assert not Path("base").exists()


def test_a_folder_that_cannot_be_is_refused_before_anything_is_trained(
    run: Callable[..., Answer], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("personalize.pretrain.train", None)  # calling it would be a traceback, not code 2
    code, _, err = run(folder, "--out", tmp_path / "file")
    assert code == 2
    assert "cannot be a folder" in err


def test_simulated_wearers_are_those_of_whom_no_figure_is_taken(run: Callable[..., Answer]) -> None:
    code, out, _ = run("--out", "base", "--wearers", "6", "--dry-run", "--json")
    assert code == 0
    found = json.loads(out)
    assert list(found["train"]) == ["sim-1000", "sim-1001"]
    assert list(found["validation"]) == ["sim-1002", "sim-1003", "sim-1004", "sim-1005"]
