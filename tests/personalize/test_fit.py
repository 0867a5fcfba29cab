from dataclasses import replace

import numpy as np
import pytest
import torch

from edge.errors import BadInput, BadSession, NotEnoughData
from edge.session import write_session
from edge.store import UserStore
from personalize import base, minutes, recipe, splits
from personalize import train as train_module
from personalize.evaluate import evaluate
from personalize.features import FramedSession
from personalize.fit import personalize_user
from personalize.gathering import gather
from personalize.model import load_model
from personalize.reference import TorchRuntime
from personalize.report import read_report
from personalize.train import TrainingFailed, initial_network
from tests.personalize.toys import toy_session

QUICK = recipe.load("streaming").model_copy(
    update={"steps": 24, "evaluations": 2, "batch_windows": 2, "window_s": 2.0}
)
BARELY = QUICK.model_copy(update={"steps": 1, "evaluations": 1})


@pytest.fixture(autouse=True)
def short_recordings_will_do(monkeypatch):
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)


@pytest.fixture
def user(tmp_path):
    return UserStore(tmp_path).create("ada")


def record(user, *sessions):
    for session in sessions:
        write_session(user.session_path(user.new_session_name()), session)


def test_recordings_become_a_model_in_use_with_its_report(user):
    test = toy_session(3, 6)
    record(user, toy_session(0, 20), toy_session(1, 6), test)
    report, folder = personalize_user(user, QUICK)
    assert [(p.session, p.role) for p in report.parts] == [
        ("session-0001", "train"),
        ("session-0002", "validation"),
        ("session-0003", "test"),
    ]
    assert user.current() == folder
    assert report.promoted
    assert report.simulated
    assert report.test_before is None
    assert read_report(folder) == report
    network, manifest = load_model(folder)
    cut = manifest.form.model_copy(update={"chunk_frames": 100})
    again = evaluate(TorchRuntime(network, cut), manifest, [test])
    assert again.percent == pytest.approx(report.test.percent, abs=1e-3)
    assert report.test.length == len(test.labels)
    assert report.validation.percent < 60


def test_a_worse_model_is_kept_and_not_put_in_use(user):
    record(user, toy_session(0, 25), toy_session(1, 6))
    good = personalize_user(user, QUICK)
    worse = personalize_user(user, BARELY)
    assert not worse.report.promoted
    assert worse.report.gate is not None
    assert "stretches" in worse.report.gate.reason
    assert user.current() == good.folder
    assert worse.folder.is_dir()
    onward = personalize_user(user, BARELY, start="current")
    assert onward.report.test_before is not None
    assert onward.report.test_before.percent == good.report.test.percent


def test_prompts_alone_and_one_band_are_first_class(user):
    for seed, seconds in ((0, 20), (1, 6), (2, 6)):
        record(user, toy_session(seed, seconds, on_keyboard=False, sides=("right",)))
    report, folder = personalize_user(user, BARELY)
    assert load_model(folder)[1].sides == ("right",)
    assert report.test.length > 0


def test_from_scratch_the_base_finds_the_key_times_of_prompts_alone(user, monkeypatch):
    record(user, toy_session(0, 20), toy_session(1, 6))
    logged, folder = personalize_user(user, QUICK)
    assert logged.alignment == (), "a keyboard told"
    for path in user.sessions():
        path.unlink()
    record(user, *(toy_session(seed, s, on_keyboard=False) for seed, s in ((2, 20), (3, 6), (4, 6))))
    monkeypatch.setattr(base, "load", lambda: load_model(folder)[0])  # one that knows toys
    report, folder = personalize_user(user, QUICK)
    assert 1 <= len(report.alignment) <= 2
    for one in report.alignment:
        assert one.usable == one.prompts == report.parts[0].labels / 8, "a toy's prompts have 8 keys"
    assert report.test.percent < 60, "with CTC alone it would still say nothing"
    assert read_report(folder) == report
    assert not user.scratch("unfinished").exists()
    assert personalize_user(user, BARELY, start="current").report.alignment == (), "this one reads already"


def test_minutes_pick_the_way_and_the_report_says_which(user, monkeypatch):
    monkeypatch.setattr(minutes, "FEWEST", 0.1)
    record(user, toy_session(0, 20), toy_session(1, 6), toy_session(2, 6))
    rows = [
        {"minutes": at, "way": way, "steps": steps, "learning_rate": 0.01}
        for at, way, steps in ((0.1, "last", 1), (0.3, "norm", 2), (0.5, "full", 3))
    ]
    report, folder = personalize_user(user, recipe.override(BARELY, {"by_minutes": rows}), start="base")
    assert report.picked_by_minutes
    assert (report.recipe.way, report.steps, report.recipe.by_minutes) == ("norm", 2, ())
    before, after = base.load().state_dict(), load_model(folder)[0].state_dict()
    assert {name.split(".")[-2] for name in after if not torch.equal(before[name], after[name])} == {"norm"}
    assert report.outlook is not None
    expected = minutes.outlook(report.test.percent, report.minutes("train"))
    assert (report.outlook.minutes, report.outlook.points) == expected
    again = personalize_user(user, BARELY, start="scratch").report
    assert not again.picked_by_minutes
    assert again.outlook is None, "the curve is of those who start from the base"


def test_adapters_are_kept_as_plain_weights(user):
    record(user, toy_session(0, 20), toy_session(1, 6))
    settings = recipe.override(BARELY, {"way": "adapters", "learning_rate": 0.01})
    _, folder = personalize_user(user, settings, start="base")
    before, after = base.load().state_dict(), load_model(folder)[0].state_dict()
    assert {name: tensor.shape for name, tensor in before.items()} == {
        name: tensor.shape for name, tensor in after.items()
    }
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {"front", "lstm", "head"}


def test_nothing_of_the_test_recording_reaches_training(user):
    record(user, toy_session(0, 20), toy_session(1, 6), toy_session(2, 6))
    _, folder = personalize_user(user, BARELY)
    user.sessions()[-1].unlink()
    record(user, toy_session(9, 7))
    _, other = personalize_user(user, BARELY)
    assert (folder / "network.safetensors").read_bytes() == (other / "network.safetensors").read_bytes()
    assert load_model(folder)[1].normalization == load_model(other)[1].normalization


def test_a_failed_run_leaves_nothing(user):
    record(user, toy_session(0, 25), toy_session(1, 6))
    hot = QUICK.model_copy(update={"learning_rate": 1e30, "gradient_norm": 1e30, "warmup_fraction": 0.0})
    with pytest.raises(TrainingFailed):
        personalize_user(user, hot)
    assert user.slots() == []
    assert user.current() is None


def test_too_little_or_empty_recordings_are_refused(user):
    with pytest.raises(NotEnoughData, match="no sessions"):
        gather(user)
    record(user, toy_session(0, 25), replace(toy_session(1, 6), keys=()))
    with pytest.raises(NotEnoughData, match=r"session-0002.*hold no key"):
        gather(user)


def test_starts_that_do_not_exist_are_refused(user):
    with pytest.raises(BadInput, match="no model yet"):
        personalize_user(user, QUICK, start="current")
    with pytest.raises(BadInput, match="spatial_lstm"):
        personalize_user(user, QUICK.model_copy(update={"network": "spatial_lstm"}), start="base")


def test_another_base_is_started_from_and_named_with_whom_it_has_met(user, tmp_path):
    record(user, *(replace(toy_session(seed, s), user="89335547") for seed, s in ((0, 25), (1, 6))))
    shipped = personalize_user(user, BARELY, start="base").report
    assert shipped.base is not None
    assert shipped.base.sha256 == base.card().sha256
    assert shipped.base.leak is None
    network = initial_network("streaming", seed=3)
    base.write(network, base.imported_card(network, command="made here", people=("1", "89335547")), tmp_path)
    barely = recipe.override(BARELY, {"learning_rate": 1e-12})
    report, folder = personalize_user(user, barely, start="base", base_folder=tmp_path)
    assert report.base is not None
    assert report.base.sha256 == base.card("streaming", tmp_path).sha256 != shipped.base.sha256
    assert report.base.met == ("89335547",)
    assert "89335547" in report.base.leak
    kept, made = load_model(folder)[0].state_dict(), base.load("streaming", tmp_path).state_dict()
    assert all(torch.allclose(kept[name], tensor, atol=1e-6) for name, tensor in made.items())
    assert personalize_user(user, BARELY, start="scratch").report.base is None


def test_a_model_that_is_surely_better_replaces_the_one_in_use(user):
    record(user, toy_session(0, 25), toy_session(1, 60))
    personalize_user(user, BARELY)
    better = personalize_user(user, QUICK)
    assert better.report.promoted
    assert user.current() == better.folder
    assert better.report.gate is not None
    assert better.report.gate.probability == 1


def test_poisoned_recordings_leave_the_old_model_in_place(user):
    record(user, toy_session(0, 25), toy_session(1, 60))
    good = personalize_user(user, QUICK)
    user.sessions()[0].unlink()
    poisoned = toy_session(0, 25)
    keys = tuple(key._replace(key="asdf"[i % 4]) for i, key in enumerate(poisoned.keys))
    write_session(user.session_path("session-0001"), replace(poisoned, keys=keys, prompts=()))
    bad = personalize_user(user, QUICK)
    assert not bad.report.promoted
    assert bad.report.gate is not None
    assert "not surely better" in bad.report.gate.reason
    assert user.current() == good.folder


def test_recordings_of_two_people_are_refused_before_training(user):
    record(user, toy_session(0, 25), replace(toy_session(1, 6), user="somebody"))
    with pytest.raises(BadSession, match="session-0002: it is of user 'somebody'"):
        personalize_user(user, BARELY)
    assert user.slots() == []


def test_a_dead_electrode_is_in_the_report(user):
    dead = toy_session(0, 25)
    dead.emg_uv[:, 0, 3] = 0
    record(user, dead, toy_session(1, 6))
    report, _ = personalize_user(user, BARELY)
    assert len(report.findings) == 1
    assert report.findings[0].startswith("session-0001: electrode 3 of the left band")


class Killed(BaseException):
    pass


def test_what_was_killed_goes_on_and_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(train_module, "_SAVED_EVERY_S", 0.0)
    few = QUICK.model_copy(update={"steps": 6, "window_s": 1.0})
    users = [UserStore(tmp_path).create(name) for name in ("whole", "killed")]
    for user in users:
        record(user, toy_session(0, 15), toy_session(1, 6), toy_session(3, 6))
    steps = []

    def until(last):
        def progress(step, _total, _loss):
            steps.append(step)
            if step == last:
                raise Killed

        return progress

    whole = personalize_user(users[0], few, progress=until(None))
    with pytest.raises(Killed):
        personalize_user(users[1], few, progress=until(4))
    assert users[1].slots() == []
    assert any(users[1].scratch("unfinished").iterdir())
    steps.clear()
    again = personalize_user(users[1], few, progress=until(None))
    assert steps == [4, 5, 6]
    assert not users[1].scratch("unfinished").exists(), "what is done is not kept twice"
    (one, _), (other, _) = load_model(whole.folder), load_model(again.folder)
    assert all(torch.equal(one.state_dict()[name], other.state_dict()[name]) for name in one.state_dict())
    assert again.report.evaluations == whole.report.evaluations


def test_frames_are_made_once_and_forgotten_with_their_user(user, tmp_path, monkeypatch):
    record(user, toy_session(0, 15), toy_session(1, 6), toy_session(3, 6))
    first = gather(user)
    assert len(list(user.scratch("frames").iterdir())) == 3
    monkeypatch.setattr(FramedSession, "of", None)
    second = gather(user)
    for one, other in zip(first.sessions, second.sessions, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.values, other.values)
    UserStore(tmp_path).forget("ada")
    assert not user.scratch("frames").exists()
