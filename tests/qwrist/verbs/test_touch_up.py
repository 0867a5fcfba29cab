"""From bands that were put on again to ten sentences and a model that was taught them, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.enroll import Ended
from edge.session import read_session
from edge.store import UserStore
from personalize import recipe as recipes
from personalize import splits, touch_up
from personalize.fit import personalize_user
from qwrist.verbs import personalize as verb
from tests.conftest import Run
from tests.personalize.rings import ring_session
from tests.personalize.test_cross_validation import BARELY
from tests.personalize.test_fit import BARELY as BARELY_FITTED
from tests.personalize.test_touch_up import TEN_S, record


@pytest.mark.parametrize("extra", [["--all"], ["--from", "base"], ["--base", "x"], ["--dry-run"]])
def test_a_touch_up_is_of_one_model_in_use(run: Run, extra: list[str]) -> None:
    answer = run("personalize", "--user", "ada", "--touch-up", *extra)
    assert answer.code == 2
    assert "--touch-up is of the model in use" in answer.err


def test_it_is_told_with_its_figures(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)
    user = UserStore(home).create("ada")
    for seed, seconds in ((0, 25), (1, 6)):
        record(user, ring_session(seed, seconds))
    personalize_user(user, BARELY_FITTED)
    record(user, ring_session(5, TEN_S))
    monkeypatch.setattr(recipes, "load", lambda _: BARELY)
    monkeypatch.setattr(touch_up, "decide", lambda *_: touch_up.Verdict(promoted=False, reason="for a test"))
    told = json.loads(run("personalize", "--user", "ada", "--touch-up", "--json").out)
    assert told["touch_up"]["sentences"] == 10
    assert Path(told["report"]).is_file()
    assert not told["promoted"]
    again = run("personalize", "--user", "ada", "--touch-up")
    assert "of 10 in session-0003, each read untaught" in again.out
    assert "no, the model before stays: for a test" in again.out


def test_its_recipe_starts_from_the_model_in_use() -> None:
    chosen = verb.choose_recipe(None, verb._TOUCH_UP)
    assert (chosen.start, chosen.evaluations) == ("current", 1)


def test_ten_sentences_are_recorded_and_no_more(run: Run) -> None:
    answer = run("enroll", "--user", "ada", "--band", "sim:wearer=31", "--sentences", "2", "--json")
    told = json.loads(answer.out)
    assert (told["prompts"], told["ended"]) == (2, Ended.PROMPTS.value)
    assert len(read_session(Path(told["session"])).prompts) == 2
    assert told["recorded_s"] < 40
    resumed = run("enroll", "--user", "ada", "--band", "sim:wearer=31", "--sentences", "2", "--resume")
    assert (resumed.code, "leave one out" in resumed.err) == (2, True)
