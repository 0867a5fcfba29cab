"""Ten sentences of a new donning: taught, judged by what was not taught, and kept only where that pays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BadInput, BadSession, NotEnoughData
from edge.roll import kept, roll
from edge.scoring import Cer
from edge.session import Session, write_session
from edge.store import User, UserStore
from personalize import donning, recipe, splits
from personalize import touch_up as module
from personalize.cross_validation import Lesson, Told
from personalize.features import FramedSession
from personalize.fit import personalize_user
from personalize.html_report.page import write_page
from personalize.report import read_report
from personalize.touch_up import EXCERPT_S, FEWEST_SENTENCES, Verdict, decide, excerpt, touch_up
from tests.personalize.rings import ring_session
from tests.personalize.test_cross_validation import BARELY
from tests.personalize.test_fit import BARELY as BARELY_FITTED
from tests.personalize.test_fit import QUICK

TEN_S = 3.2 * FEWEST_SENTENCES + 2  # ten prompts of eight keys, 0.4 s each


def record(user: User, session: Session) -> str:
    name = user.new_session_name()
    write_session(user.session_path(name), replace(session, user=user.id))
    return name


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose user has a model that can read nothing yet."""
    root = tmp_path_factory.mktemp("fitted")
    user = UserStore(root).create("ada")
    for seed, seconds in ((0, 25), (1, 6)):
        record(user, ring_session(seed, seconds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "MIN_TRAINING_S", 10.0)
        personalize_user(user, BARELY_FITTED)
    return root


@pytest.fixture
def user(tmp_path: Path, fitted: Path) -> User:
    shutil.copytree(fitted, tmp_path / "home")
    return UserStore(tmp_path / "home").user("ada")


def told(before: list[int], after: list[int]) -> Told:
    return Told([Cer(0, 0, n, 10) for n in before], [Cer(0, 0, n, 10) for n in after])


@pytest.mark.parametrize(
    ("after", "lost", "promoted"),
    [
        ([2] * 10, 0.0, True),
        ([2] * 10, 1.0, True),
        ([2] * 10, 1.01, False),
        ([4] * 10, -5.0, False),
        ([2, 6] * 5, 0.0, False),
    ],
)
def test_only_what_is_surely_better_and_forgets_little_is_used(after, lost, promoted) -> None:
    verdict = decide(told([4] * 10, after), lost)
    assert verdict.promoted is promoted
    assert "40.0 % before" in verdict.reason
    assert f"{lost:+.1f} points" in verdict.reason


@pytest.mark.parametrize("promoted", [True, False])
def test_a_touch_up_is_reported_and_kept_beside_what_it_came_from(user: User, promoted, monkeypatch) -> None:
    monkeypatch.setattr(module, "decide", lambda *_: Verdict(promoted, "for a test"))
    before = user.current()
    assert before is not None
    name = record(user, ring_session(5, TEN_S, turned=3))
    ticks = []
    report, folder = touch_up(user, BARELY, progress=lambda *told: ticks.append(told[:2]))
    assert ticks == [(step, 6) for step in range(1, 7)], "five folds and the whole, a step each"
    assert report == read_report(folder)
    assert report.promoted is promoted
    assert user.current() == (folder if promoted else before)
    assert report.touch_up is not None
    assert (report.touch_up.session, report.touch_up.folds) == (name, 5)
    assert report.touch_up.sentences >= FEWEST_SENTENCES
    assert report.validation == report.touch_up.after
    assert report.current_test is not None
    assert report.touch_up.lost_points == pytest.approx(
        report.test.percent - report.current_test.percent, abs=0.01
    )
    old = read_report(before)
    assert report.parts[:-1] == old.parts
    assert (report.parts[-1].session, report.parts[-1].role) == (name, "train")
    assert report.parts[-1].turned == (3, 3), "what is learnt is as it would have been heard in training"
    measured = kept(user)
    assert measured is not None
    assert (measured.turned, measured.model, measured.newest) == ((3, 3), user.current().name, name)
    assert report.simulated
    assert write_page(user, folder).is_file()


def test_the_same_recording_is_not_learnt_twice(user: User) -> None:
    with pytest.raises(BadInput, match="is one that the model in use was made of"):
        touch_up(user, BARELY)
    record(user, ring_session(5, TEN_S))
    done = touch_up(user, BARELY)
    user.promote(int(done.folder.name))
    with pytest.raises(BadInput, match=r"session-0003.*--sentences 10"):
        touch_up(user, BARELY)


def test_too_few_sentences_nobodys_model_and_another_networks_are_refused(user: User, tmp_path: Path) -> None:
    record(user, ring_session(5, 12))
    with pytest.raises(
        NotEnoughData, match=r"session-0003 holds 3 sentences.*qwrist enroll --user ada --sentences 10"
    ):
        touch_up(user, BARELY)
    with pytest.raises(BadInput, match="spatial_lstm"):
        touch_up(user, recipe.override(BARELY, {"network": "spatial_lstm"}))
    with pytest.raises(BadInput, match="no model yet"):
        touch_up(UserStore(tmp_path).create("eve"), BARELY)
    assert user.slots() == [1]


def test_what_is_wrong_with_the_sentences_stops_it_before_training(user: User) -> None:
    session = ring_session(5, TEN_S)
    write_session(user.session_path(user.new_session_name()), replace(session, user="eve"))
    with pytest.raises(BadSession, match="eve"):
        touch_up(user, BARELY)
    assert user.slots() == [1]


def test_training_recordings_that_are_gone_are_not_rehearsed(user: User, monkeypatch) -> None:
    seen: list[Lesson] = []

    def cross_validate(_network, lesson, *_, **__) -> Told:
        seen.append(lesson)
        return told([1] * 10, [1] * 10)

    monkeypatch.setattr(module, "cross_validate", cross_validate)
    record(user, ring_session(5, TEN_S))
    touch_up(user, BARELY)
    user.sessions()[0].unlink()
    touch_up(user, BARELY)
    rehearsed = [sum(len(one.values) for one in lesson.rehearsal) for lesson in seen]
    assert rehearsed[0] == pytest.approx(2 * len(seen[0].new.values), rel=0.35)
    assert rehearsed[1] == 0


def test_an_excerpt_is_what_preparing_the_whole_would_have_given_where_nothing_is_normalised() -> None:
    whole = FramedSession.of(ring_session(0, 60))
    cut = excerpt(whole, None, np.random.default_rng(0))
    assert len(cut.values) == 125 * EXCERPT_S
    places = np.flatnonzero((whole.values == cut.values[0]).all((1, 2, 3)))
    np.testing.assert_array_equal(whole.values[places[0] : places[0] + len(cut.values)], cut.values)
    assert cut.labels.count == whole.labels.between(places[0], places[0] + len(cut.values)).count
    short = FramedSession.of(ring_session(0, 6))
    assert len(excerpt(short, None, np.random.default_rng(0)).values) == len(short.values)


def test_a_guess_rolls_nothing_and_is_not_kept(user: User, monkeypatch) -> None:
    monkeypatch.setattr(donning, "LEAST_MARGIN", 2.0)
    monkeypatch.setattr(module, "decide", lambda *_: Verdict(promoted=False, reason="for a test"))
    record(user, ring_session(5, TEN_S, turned=3))
    assert touch_up(user, BARELY).report.parts[-1].turned == (0, 0)
    assert kept(user) is None


def test_what_is_learnt_turned_is_learnt_as_if_it_sat_straight(user: User) -> None:
    straight = ring_session(5, TEN_S)
    turned = replace(straight, emg_uv=roll(straight.emg_uv, (-3, 2)))
    weights = []
    for session in (straight, turned):
        record(user, session)
        done = touch_up(user, BARELY)
        assert done.report.parts[-1].turned == ((0, 0) if session is straight else (3, -2))
        weights.append((done.folder / "network.safetensors").read_bytes())
        user.promote(1)
    assert weights[0] == weights[1]


@pytest.fixture
def turned(tmp_path: Path, monkeypatch) -> User:
    """A user who is read without an error, and has put both bands on two electrodes further round."""
    monkeypatch.setattr(splits, "MIN_TRAINING_S", 10.0)
    user = UserStore(tmp_path).create("ada")
    for seed, seconds in ((0, 60), (1, 20)):
        record(user, ring_session(seed, seconds))
    personalize_user(user, recipe.override(QUICK, {"steps": 60}))
    record(user, ring_session(5, TEN_S, turned=2))
    return user


BRIEF = {"steps": 40, "batch_windows": 4, "window_s": 2.0}


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes of work, on a machine that may have other
def test_a_turn_that_is_sure_is_mended_without_a_new_model(turned: User) -> None:
    worn = turned.current()
    done = touch_up(turned, recipe.override(recipe.load("touch_up"), BRIEF))
    assert done.report.parts[-1].turned == (2, 2)
    assert done.report.touch_up is not None
    assert done.report.touch_up.before.percent == 0
    assert turned.current() == worn
    roll_kept = kept(turned)
    assert roll_kept is not None
    assert roll_kept.turned == (2, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_sentences_mend_a_turn_that_is_a_guess(turned: User, monkeypatch) -> None:
    monkeypatch.setattr(donning, "LEAST_MARGIN", 2.0)
    worn = turned.current()
    done = touch_up(turned, recipe.override(recipe.load("touch_up"), BRIEF))
    print(done.report.gate, done.report.touch_up)  # noqa: T201
    assert done.report.promoted
    assert turned.current() == done.folder != worn
    touched = done.report.touch_up
    assert touched is not None
    assert touched.after.percent < touched.before.percent / 2
