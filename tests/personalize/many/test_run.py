import json
from collections.abc import Sequence

import pytest

from edge.errors import BadInput
from edge.files import locked
from personalize.many.job import Fitted, Job, Outcomes
from personalize.many.keeping import keep
from personalize.many.report import FILE_NAME, AllReport
from personalize.many.run import personalize_all
from tests.personalize.many.people import brief_work, made_up, order, people, record


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr("personalize.fit.personalize_user", made_up)


def here(jobs: Sequence[Job]) -> Outcomes:
    """An engine without processes."""
    for job in jobs:
        yield job, brief_work(job)


def run_all(store, engine=here, **changes):
    return personalize_all(store, order(**changes), engine, name="here")


def states(report: AllReport) -> dict[str, str]:
    return {user.user: user.state for user in report.users}


def test_one_failure_stops_nobody_and_a_second_run_does_what_is_left(tmp_path):
    store = people(tmp_path, ["ada", "eve"])
    few = store.create("bob")
    record(few, (20.0,))
    torn = store.create("cyn")
    torn.session_path("session-0001").write_bytes(b"not a recording")
    torn.session_path("session-0002").write_bytes(b"not a recording")
    report = run_all(store)
    assert states(report) == {"ada": "fitted", "bob": "refused", "cyn": "refused", "eve": "fitted"}
    assert "at least 2 are needed" in report.users[1].reason
    assert report.wanting
    assert AllReport.model_validate_json((tmp_path / FILE_NAME).read_bytes()) == report

    record(few, (5.0, 5.0), first_seed=1)
    again = run_all(store)
    assert states(again) == {"ada": "up to date", "bob": "fitted", "cyn": "refused", "eve": "up to date"}
    assert [store.user(name).slots() for name in ("ada", "bob", "cyn", "eve")] == [[1], [1], [], [1]]
    assert again.users[0].cer_percent == report.users[0].cer_percent
    assert not list((tmp_path / "users").rglob(".new-*"))
    assert not list((tmp_path / "users").rglob("frames"))


@pytest.mark.usefixtures("untrained")
def test_whatever_decides_the_model_makes_another_one(tmp_path):
    store = people(tmp_path, ["ada"])
    ada = store.user("ada")
    assert states(run_all(store)) == {"ada": "fitted"}
    assert states(run_all(store, seed=1)) == {"ada": "fitted"}
    assert states(run_all(store)) == {"ada": "up to date"}
    record(ada, (6.0,), first_seed=7)
    assert states(run_all(store)) == {"ada": "fitted"}
    assert states(run_all(store)) == {"ada": "up to date"}
    assert ada.slots() == [1, 2, 3]


@pytest.mark.usefixtures("untrained")
def test_recordings_are_taken_in_once_from_the_model_in_use_too(tmp_path):
    store = people(tmp_path, ["ada"])
    run_all(store)
    onward = order().recipe.model_copy(update={"start": "current"})
    assert states(run_all(store, recipe=onward)) == {"ada": "fitted"}
    assert states(run_all(store, recipe=onward)) == {"ada": "up to date"}
    assert store.user("ada").slots() == [1, 2]


@pytest.mark.usefixtures("untrained")
def test_a_kill_while_a_model_is_kept_is_made_good_and_nobody_is_fitted_twice(tmp_path, monkeypatch):
    store = people(tmp_path, ["ada"])
    with monkeypatch.context() as patched:
        patched.setattr("personalize.many.keeping.settle", interrupt)
        report = run_all(store)
    assert report.interrupted
    assert states(report) == {"ada": "unfinished"}
    ada = store.user("ada")
    assert ada.slots() == [1]
    assert ada.current() is None
    assert states(run_all(store)) == {"ada": "up to date"}
    assert ada.slots() == [1]
    assert ada.current() == ada.slot(1)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("untrained")
def test_a_user_who_went_back_is_left_there(tmp_path):
    store = people(tmp_path, ["ada"])
    ada = store.user("ada")
    run_all(store)
    run_all(store, seed=1)
    ada.promote(2)
    ada.rollback()
    assert states(run_all(store, seed=1)) == {"ada": "up to date"}
    assert ada.current() == ada.slot(1)


@pytest.mark.usefixtures("untrained")
def test_a_model_judged_against_another_than_the_one_in_use_is_not_kept(tmp_path):
    store = people(tmp_path, ["ada"])
    ada = store.user("ada")

    def late(jobs: Sequence[Job]) -> Outcomes:
        for job, outcome in here(jobs):
            assert isinstance(outcome, Fitted)
            keep(ada, outcome.model_copy(update={"key": "another"}))
            yield job, outcome

    report = run_all(store, late)
    assert states(report) == {"ada": "refused"}
    assert "came into use while" in report.users[0].reason
    assert ada.slots() == [1]


@pytest.mark.usefixtures("untrained")
def test_who_is_forgotten_meanwhile_stays_forgotten(tmp_path):
    store = people(tmp_path, ["ada", "bob"])

    def forgetful(jobs: Sequence[Job]) -> Outcomes:
        for job, outcome in here(jobs):
            store.forget(job.user)
            yield job, outcome

    assert set(states(run_all(store, forgetful)).values()) == {"refused"}
    assert store.users() == []


@pytest.mark.usefixtures("untrained")
def test_an_interrupted_run_says_who_is_left(tmp_path):
    store = people(tmp_path, ["ada", "bob", "cyn"])
    ended = []

    def interrupted(jobs: Sequence[Job]) -> Outcomes:
        try:
            yield from here(jobs[:1])
            raise KeyboardInterrupt
        finally:
            ended.append(True)

    report = run_all(store, interrupted)
    assert report.interrupted
    assert ended
    assert states(report) == {"ada": "fitted", "bob": "unfinished", "cyn": "unfinished"}
    assert json.loads((tmp_path / FILE_NAME).read_bytes())["interrupted"] is True
    assert states(run_all(store)) == {"ada": "up to date", "bob": "fitted", "cyn": "fitted"}


@pytest.mark.usefixtures("untrained")
def test_a_dry_run_looks_at_everybody_and_writes_nothing(tmp_path):
    store = people(tmp_path, ["ada", "bob"])
    run_all(store)
    record(store.user("bob"), (6.0,), first_seed=8)
    record(store.create("cyn"), (3.0,))
    (tmp_path / FILE_NAME).unlink()
    before = sorted(path for path in tmp_path.rglob("*"))
    report = run_all(store, dry_run=True)
    assert states(report) == {"ada": "up to date", "bob": "ready", "cyn": "refused"}
    assert report.users[1].training_minutes == pytest.approx(25 / 60, abs=0.01)
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("untrained")
def test_two_runs_at_once_are_one_too_many(tmp_path):
    store = people(tmp_path, ["ada"])
    run_all(store)
    with locked(tmp_path / ".personalize-all.lock"), pytest.raises(BadInput, match="another personalize"):
        run_all(store)
    with pytest.raises(BadInput, match="no users"):
        run_all(people(tmp_path / "empty", []))
