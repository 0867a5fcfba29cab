"""`personalize`, called as a user calls it: what it writes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from edge.errors import BadInput
from edge.session import write_session
from edge.store import User, UserStore
from personalize import base, minutes, recipe, rehearsal, splits
from personalize import train as train_module
from personalize.report import read_report
from personalize.train import initial_network
from tests.conftest import Run
from tests.personalize.toys import toy_session


@pytest.fixture
def ada(home: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)
    user = UserStore(home).create("ada")
    for seed, seconds in enumerate((20, 5, 5)):
        session = replace(toy_session(seed, seconds), user="ada")
        write_session(user.session_path(user.new_session_name()), session)
    return user


def test_each_fit_writes_its_page(run: Run, ada: User) -> None:
    answer = run("personalize", "--user", "ada", "--steps", "1", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert Path(told["report"]) == ada.slot(1) / "report.html"
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert f"{told['test']['percent']:.1f} %" in page
    assert told["base"]["sha256"] in page
    assert str(ada.slot(1) / "report.html") in run("report", "--user", "ada").err


def test_a_base_of_ones_own_is_named_and_warned_of(run: Run, ada: User, tmp_path: Path) -> None:
    network = initial_network("streaming", seed=1)
    base.write(network, base.imported_card(network, command="here", people=("ada",)), tmp_path / "bases")
    answer = run("personalize", "--user", "ada", "--steps", "1", "--base", str(tmp_path / "bases"))
    assert answer.code == 0, answer.err
    assert "made of recordings of ada" in answer.out
    assert "made of recordings of ada" in (ada.slot(1) / "report.html").read_text(encoding="utf-8")


def test_it_is_said_how_many_prompts_key_times_were_found_for(run: Run, ada: User) -> None:
    for path, seconds in zip(ada.sessions(), (20, 5, 5), strict=True):
        path.unlink()
        write_session(path, replace(toy_session(7, seconds, on_keyboard=False), user="ada"))
    answer = run("personalize", "--user", "ada", "--steps", "1", "--from", "scratch")
    assert answer.code == 0, answer.err
    *_, found = read_report(ada.slot(1)).alignment
    assert found.prompts == 6
    assert f"key times found for {found.usable} of 6, in " in answer.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--base", "nowhere"), "nowhere holds no base of a streaming network"),
        (("--base", "nowhere", "--from", "scratch"), "--base names what --from base starts from"),
        (("--base", __file__), "test_personalize.py holds no base of a streaming network"),
        (("--base", "nowhere", "--network", "tds"), "nowhere holds no base of a tds network"),
    ],
)
def test_a_base_that_is_not_there_is_refused(
    run: Run, ada: User, arguments: tuple[str, ...], sentence: str
) -> None:
    answer = run("personalize", "--user", "ada", *arguments)
    assert answer.code == 2
    assert sentence in answer.err
    assert ada.slots() == []


def test_an_interruption_says_how_far_it_came_and_the_same_command_goes_on(
    run: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("personalize", "--user", "ada", "--steps", "3", "--json")
    monkeypatch.setattr(train_module, "_SAVED_EVERY_S", 0.0)
    update, steps = train_module._update, []

    def interrupted(*told: object) -> float:
        steps.append(told[4])
        if steps == [1, 2, 3]:
            raise KeyboardInterrupt
        return update(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "_update", interrupted)
    answer = run(*command)
    assert answer.code != 0
    assert "stopped; 2 steps of training are kept, and the same command goes on from there" in answer.err
    assert ada.slots() == []
    assert run(*command).code == 0
    assert steps == [1, 2, 3, 3]
    assert ada.slots() == [1]


def test_the_way_and_what_more_minutes_bring_are_told(
    run: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minutes, "FEWEST", 0.1)
    answer = run("personalize", "--user", "ada", "--steps", "1", "--way", "adapters")
    assert answer.code == 0, answer.err
    report = read_report(ada.slot(1))
    assert report.recipe.way == "adapters"
    assert "adapters, merged into the weights" in answer.out
    assert report.outlook is not None
    told = f"5 more minutes of typing: about {report.outlook.points:.1f} points better"
    assert told in " ".join(answer.out.split())
    page = (ada.slot(1) / "report.html").read_text(encoding="utf-8")
    assert told in page
    assert "way adapters" in page
    refused = run("personalize", "--user", "ada", "--way", "some")
    assert refused.code == 2
    assert "way: " in refused.err


@pytest.mark.usefixtures("ada")
def test_a_dry_run_announces_what_the_minutes_pick(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enough(_user: User) -> None:
        raise BadInput("announced")

    monkeypatch.setattr(rehearsal, "rehearsal_user", enough)
    rows = [{"minutes": 0.1, "way": "norm", "steps": 77, "learning_rate": 0.01}]
    fields = recipe.override(recipe.load("finetune"), {"by_minutes": rows}).model_dump(mode="json")
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    answer = run("personalize", "--user", "ada", "--dry-run", "--recipe", str(file))
    assert answer.err.strip().endswith("announced")
    assert "streaming from base, the norms alone, 77 steps" in answer.out
