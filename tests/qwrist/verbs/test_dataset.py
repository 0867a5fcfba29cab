"""`qwrist dataset` as its user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from personalize import base
from personalize.emg2qwerty.splits import HELD_OUT, PAPER_USER
from qwrist import app
from qwrist.verbs import dataset
from tests.personalize.emg2qwerty.checkpoints import published, state_dict, write_checkpoint
from tests.personalize.emg2qwerty.making import PAPER_STARTS, name_of, write_download, write_recording
from tests.personalize.emg2qwerty.test_pickled import Evil

Answer = tuple[int, str, str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["dataset", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            app.run(dataset.app)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def test_a_whole_download_is_usable_and_its_leak_is_said(run: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_download(tmp_path / "data")
    code, out, _ = run("check", folder, "--split", "single_user", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["files"], found["users"], found["keys"], found["passed"]) == (18, 1, 36, True)
    assert [finding["where"] for finding in found["findings"]] == ["split single_user", f"user {PAPER_USER}"]
    assert HELD_OUT[0] in found["findings"][1]["advice"]


def test_a_damaged_download_fails_and_names_the_file(run: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_download(tmp_path / "data", PAPER_STARTS[:2])
    write_recording(folder, PAPER_STARTS[0], user="77")
    code, out, _ = run("check", folder)
    assert code == 1
    assert name_of(PAPER_STARTS[0]) in out
    assert "not usable" in out
    assert run("check", folder, "--quick")[0] == 0


def test_only_one_persons_recordings_are_read(run: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_download(tmp_path / "data", PAPER_STARTS[:2])
    assert json.loads(run("check", folder, "--user", "0" + PAPER_USER, "--json")[1])["keys"] == 4
    assert json.loads(run("check", folder, "--user", "1", "--json")[1])["keys"] == 0


@pytest.mark.parametrize("arguments", [["absent"], [".", "--split", "user0"]])
def test_what_cannot_be_checked_is_a_sentence(
    run: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(write_download(tmp_path / "data", PAPER_STARTS[:1]))
    code, _, err = run("check", *arguments)
    assert code == 2
    assert "Traceback" not in err


def test_a_published_checkpoint_becomes_a_base_that_warns_of_leaks(
    run: Callable[..., Answer], tmp_path: Path
) -> None:
    network = published("spatial_lstm")
    path = write_checkpoint(tmp_path / "generic.ckpt", state_dict(network))
    split = tmp_path / "generic.yaml"
    entry = {"user": int(PAPER_USER), "session": "x"}
    split.write_text(json.dumps({"user": "generic", "dataset": {"train": [entry]}}))
    code, out, _ = run("import", path, "--out", tmp_path / "base", "--trained-on", split, "--json")
    assert code == 0
    assert json.loads(out)["parameters"] == 2_909_187
    assert json.loads(out)["max_delta_log_p"] < 1e-4
    kept = base.load("spatial_lstm", tmp_path / "base")
    for name, tensor in network.state_dict().items():
        assert torch.equal(kept.state_dict()[name], tensor), name
    data = write_download(tmp_path / "data")
    asked = ("check", data, "--quick", "--split", "single_user", "--base", tmp_path / "base")
    assert f"the base in {tmp_path / 'base'} was trained on this person's recordings" in run(*asked)[1]


def test_a_malicious_checkpoint_is_refused_and_leaves_nothing(
    run: Callable[..., Answer], tmp_path: Path
) -> None:
    path, witness = tmp_path / "x.ckpt", tmp_path / "it-ran"
    torch.save({"state_dict": {"a": Evil(f"touch {witness}")}}, path)
    code, _, err = run("import", path, "--out", tmp_path / "base")
    assert code == 2
    assert "nothing of it was run" in err
    assert not witness.exists()
    assert not (tmp_path / "base").exists()
