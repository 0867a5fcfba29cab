"""The command line as a user meets it: help everywhere, wrong input refused in a sentence, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest
import typer

from edge.session import read_session, write_session
from edge.store import UserStore
from qwrist import app, ui
from qwrist.verbs import doctor, personalize
from simulate.recording import to_session
from simulate.wearer import Wearer
from tests.conftest import Run

VERBS = [
    [command.name] if command.name else [] for command in typer.main.get_command(app.app).commands.values()
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_every_verb_explains_itself(run: Run, verb: list[str]) -> None:
    answer = run(*verb, "--help")
    assert answer.code == 0
    assert "Usage" in answer.out


def test_no_verb_prints_the_help(run: Run) -> None:
    answer = run()
    assert answer.code == 2
    assert "personalize" in answer.out + answer.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["personalize", "--user", "nobody"], "there is no user 'nobody'"),
        (["export", "--user", "nobody"], "there is no user 'nobody'"),
        (["forget", "--user", "nobody", "--yes"], "there is no user 'nobody'"),
        (["enroll", "--user", "a/b", "--band", "sim:"], "cannot be a user id"),
        (["enroll", "--user", "../x", "--band", "sim:"], "cannot be a user id"),
        (["enroll", "--user", "ada", "--band", "usb:"], "is no source of samples"),
        (["enroll", "--user", "ada", "--band", "sim:speed=fast"], "speed is 'fast'; expected a number"),
        (["enroll", "--user", "ada", "--band", "sim:speed=1e-9"], "speed is '1e-9'; expected 0.1 to 100"),
        (["enroll", "--user", "ada", "--band", "sim:wearer=1000"], "the base was trained on"),
        (["enroll", "--user", "ada", "--band", "sim:", "--sides", "middle"], "expected left, right"),
        (["enroll", "--user", "ada", "--band", "sim:", "--minutes", "-1"], "--minutes is -1"),
        (["enroll", "--user", "ada", "--band", "sim:", "--minutes", "inf"], "--minutes is inf"),
        (["enroll", "--user", "ada", "--band", "sim:", "--seconds-per-character", "inf"], "at most 60"),
        (["type", "--user", "ada", "--band", "sim:", "--seconds", "nan"], "--seconds is nan"),
        (["type", "--user", "ada", "--band", "sim:"], "add --seconds"),
        (["replay", "x.hdf5", "--user", "ada", "--speed", "nan"], "--speed is nan; expected 0.01 to 100"),
        (["check", "no/such/file.hdf5"], "no/such/file.hdf5"),
        (["check"], "name a session file or a --user"),
        (["configs", "show", "nothing"], "there is no recipe 'nothing'"),
        (["configs", "validate", "no-such-file.yaml"], "cannot be read"),
        (["enroll", "--user", "ada", "--band", "file:x.hdf5"], "recorded already"),
        (["users", "--jsn"], "--jsn"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    answer = run(*arguments)
    assert answer.code == 2
    assert sentence in answer.err
    assert "Traceback" not in answer.err


def test_a_file_that_is_no_session_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "letter.hdf5"
    path.write_text("dear diary")
    answer = run("check", str(path))
    assert answer.code == 2
    assert str(path) in answer.err


def test_too_little_data_says_how_much_is_needed(run: Run, home: Path) -> None:
    user = UserStore(home).create("ada")
    write_session(user.session_path("session-0001"), to_session(Wearer(3).perform(0, duration_s=10)))
    answer = run("personalize", "--user", "ada")
    assert answer.code == 2
    assert "1 session" in answer.err
    assert "qwrist enroll" in answer.err


def test_a_session_is_recorded_over_the_link_and_listed(run: Run) -> None:
    answer = run("enroll", "--user", "ada", "--band", "sim:wearer=3", "--minutes", "0.35", "--json")
    assert answer.code == 0
    recorded = json.loads(answer.out)
    session = read_session(Path(recorded["session"]))
    truth = Wearer(3).perform(0, duration_s=21)
    assert recorded["recorded_s"] == pytest.approx(21.0)
    assert recorded["missing_percent"] == 0
    assert [link["side"] for link in recorded["links"]] == ["left", "right"]
    assert all(link["packets"] > 0 == link["lost"] for link in recorded["links"])
    assert len(session.keys) == recorded["keys"] > 10
    assert session.simulated
    assert len(session.emg_uv) == len(truth.emg_uv)
    users = json.loads(run("users", "--json").out)
    assert users == [{"user": "ada", "sessions": 1, "unsealed": 0, "models": 0, "current": "-"}]


def test_one_hand_and_no_keyboard_are_recorded_too(run: Run) -> None:
    answer = run(
        *("enroll", "--user", "one", "--band", "sim:wearer=5", "--minutes", "0.2"),
        *("--sides", "left", "--prompts-alone", "--json"),
    )
    assert answer.code == 0
    session = read_session(Path(json.loads(answer.out)["session"]))
    assert session.sides == ("left",)
    assert session.valid[:, 0].all()
    assert not session.valid[:, 1].any()
    assert not session.keys
    assert not session.on_keyboard
    assert session.prompts


def test_forget_leaves_nothing(run: Run, home: Path) -> None:
    run("enroll", "--user", "ada", "--band", "sim:wearer=3", "--minutes", "0.05")
    assert run("forget", "--user", "ada", "--yes").code == 0
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert json.loads(run("users", "--json").out) == []


def test_refused_input_makes_no_user(run: Run) -> None:
    assert run("enroll", "--user", "ada", "--band", "usb:").code == 2
    assert json.loads(run("users", "--json").out) == []


def test_an_unknown_start_is_refused(run: Run, home: Path) -> None:
    UserStore(home).create("ada")
    answer = run("personalize", "--user", "ada", "--from", "heaven")
    assert answer.code == 2
    assert "expected base, current or scratch" in answer.err


def test_a_recipe_decides_where_to_start() -> None:
    assert personalize.choose_recipe().start == "base"
    assert personalize.choose_recipe(recipe="streaming").start == "scratch"
    assert personalize.choose_recipe(network="tds").start == "scratch"
    assert personalize.choose_recipe("current").start == "current"
    assert personalize.choose_recipe(steps=7).steps == 7


def test_without_torch_training_names_the_extra(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = UserStore(home).create("ada")
    write_session(user.session_path("session-0001"), to_session(Wearer(3).perform(0, duration_s=10)))
    monkeypatch.setitem(sys.modules, "torch", None)
    for arguments in (["personalize", "--user", "ada"], ["personalize", "--user", "ada", "--dry-run"]):
        answer = run(*arguments)
        assert answer.code == 2
        assert "pip install 'qwrist[train]'" in answer.err


def test_what_was_decoded_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ui.facts("Decoded", {"text": "[red]x[/b]"})
    ui.table("Decoded", ["text"], [("pip install 'qwrist[ble]'",)])
    printed = capsys.readouterr().out
    assert "[red]x[/b]" in printed
    assert "qwrist[ble]" in printed


def test_the_doctor_runs_what_it_judges(run: Run) -> None:
    answer = run("doctor", "--json")
    works = {finding["part"]: finding["works"] for finding in json.loads(answer.out)}
    assert all(works[part] for part in ("user store", "training", "LiteRT", "ExecuTorch", "virtual link"))
    assert answer.code == (0 if works["Bluetooth"] else 1)


def test_the_doctor_reports_a_part_that_breaks() -> None:
    def broken() -> str:
        raise OSError("libfoo.so is missing")

    assert doctor.examine("foo", broken) == ("foo", False, "OSError: libfoo.so is missing")


def test_recipes_are_listed_shown_copied_and_validated(run: Run, tmp_path: Path) -> None:
    names = run("configs", "ls").out.split()
    assert "finetune" in names
    copy = tmp_path / "mine.yaml"
    assert run("configs", "cp", "finetune", str(copy)).code == 0
    assert copy.read_text().strip() == run("configs", "show", "finetune").out.strip()
    assert run("configs", "cp", "finetune", str(copy)).code == 2
    assert run("configs", "validate", str(copy)).code == 0
    copy.write_text(copy.read_text().replace("steps: ", "stops: "))
    answer = run("configs", "validate", str(copy))
    assert answer.code == 2
    assert "steps" in answer.err or "stops" in answer.err


def test_a_full_disk_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = os.write, iter(range(5))  # the heading and a few chunks still fit

    def full(handle: int, content: bytes) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, content)

    monkeypatch.setattr("edge.journal.os.write", full)
    answer = run("enroll", "--user", "ada", "--band", "sim:", "--minutes", "0.05")
    assert answer.code == 2
    assert "No space left on device" in answer.err
    assert "QWRIST_HOME" in answer.err
    (journal,) = UserStore.default().user("ada").journals()
    assert answer.err.rstrip().endswith(f"is sealed by: qwrist recover {journal}")
