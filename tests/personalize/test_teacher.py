from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.normalize import prior_from
from personalize import recipe
from personalize.dataset import Windows
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.model import describe
from personalize.networks import build
from personalize.splits import Part
from personalize.teacher import Teacher, on_clock, said, taught_loss
from personalize.train import initial_network
from tests.personalize.toys import toy_session

MICRO = recipe.load("micro")
GEOMETRIES = {name: Geometry.of(build(name)) for name in ("streaming", "spatial_lstm", "tds", "micro")}


def loud(classes):
    """(T, K) log-probabilities that say these classes."""
    rows = np.full((len(classes), CHARSET.num_classes), -20.0, np.float32)
    rows[np.arange(len(classes)), classes] = 0.0
    return rows


@pytest.mark.parametrize("teacher", ["streaming", "spatial_lstm", "tds"])
@given(press_frame=st.integers(30, 250))
def test_a_key_is_said_where_the_pupil_is_to_say_it(teacher, press_frame):
    speaks, hears = GEOMETRIES[teacher], GEOMETRIES["micro"]
    classes = np.full(300 // speaks.stride, CHARSET.blank)
    due = int(speaks.due(np.array([float(press_frame)]))[0])
    classes[due : due + hears.stride // speaks.stride] = 7  # 16 ms, as the aligned loss asks of both
    moved = on_clock(loud(classes), speaks, hears)
    assert len(moved) == 300 // hears.stride
    expected = int(hears.due(np.array([float(press_frame)]))[0])
    heard = np.exp(moved[:, 7])
    assert heard[expected] == pytest.approx(heard.max()), "where it is due"
    assert heard[: expected - 1].max(initial=0) < 1e-6
    assert heard[expected + 2 :].max(initial=0) < 1e-6
    np.testing.assert_allclose(np.exp(moved).sum(-1), 1, atol=1e-5)


def test_a_teacher_of_the_pupils_own_clock_is_heard_word_for_word():
    rows = np.random.default_rng(0).normal(size=(40, CHARSET.num_classes)).astype(np.float32)
    np.testing.assert_array_equal(on_clock(rows, GEOMETRIES["streaming"], GEOMETRIES["micro"]), rows)


@pytest.fixture(scope="module")
def taught():
    """One window, its recording, and what a teacher says of it."""
    framed = FramedSession.of(toy_session(0, 8))
    recording = framed.prepared(prior_from([framed.frames]))
    pupil = initial_network("micro", 0).eval()
    rows = said(initial_network("streaming", 1), pupil, [recording])
    windows = Windows([recording], GEOMETRIES["micro"], 2.0, 2)
    rng = np.random.default_rng(0)
    return rows, windows.batch(windows.epoch(rng), None, rng)


def only_teacher(temperature=1.0):
    return recipe.override(
        MICRO, {"distill": {"weight": 1.0, "temperature": temperature, "blank_weight": 0.3}}
    )


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_pupil_that_says_what_its_teacher_says_has_nothing_to_learn(taught, temperature):
    rows, batch = taught
    same = torch.stack(
        [torch.from_numpy(rows[w.session][w.first : w.stop].astype(np.float32)) for w in batch.windows]
    )
    loss = taught_loss(rows, only_teacher(temperature))
    assert loss(same, batch, 0.0).item() == pytest.approx(0, abs=1e-3)
    other = torch.zeros_like(same).log_softmax(-1)
    assert loss(other, batch, 0.0).item() > 1


def test_the_labels_keep_their_share(taught):
    rows, batch = taught
    uniform = torch.zeros(*batch.due.shape, CHARSET.num_classes).log_softmax(-1)
    shares = [{"weight": w, "temperature": 1.0, "blank_weight": 1.0} for w in (0.0, 0.25, 1.0)]
    own, mixed, whole = (
        taught_loss(rows, recipe.override(MICRO, {"distill": share}))(uniform, batch, 0.0).item()
        for share in shares
    )
    assert mixed == pytest.approx(0.75 * own + 0.25 * whole, rel=1e-5)


def test_frames_behind_a_short_window_do_not_count(taught):
    rows, batch = taught
    short = batch._replace(
        windows=tuple(w._replace(stop=w.stop - 30) for w in batch.windows), emissions=batch.emissions - 30
    )
    loss = taught_loss(rows, only_teacher())
    uniform = torch.zeros(*batch.due.shape, CHARSET.num_classes).log_softmax(-1)
    behind = uniform.clone()
    behind[:, -30:] = torch.from_numpy(loud([3] * 30))
    assert loss(uniform, short, 0.0) == loss(behind, short, 0.0)
    assert loss(uniform, batch, 0.0) != loss(behind, batch, 0.0)


def test_a_recipe_without_a_teacher_is_refused(taught):
    with pytest.raises(BadInput, match=r"finetune.*distill"):
        taught_loss(taught[0], recipe.load("finetune"))


def test_a_teacher_of_someone_else_or_that_knows_the_test_is_refused():
    network = build("streaming")
    manifest = describe(network, user="ada", simulated=True, sides=("left", "right"), prior=None)
    teacher = Teacher(network, manifest, Path("models/0003"), frozenset({"session-0001", "session-0002"}))
    parts = [Part("session-0001", 0, 9, "train"), Part("session-0003", 0, 9, "test")]
    teacher.check("ada", parts)
    with pytest.raises(BadInput, match="model of user ada, not of bob"):
        teacher.check("bob", parts)
    with pytest.raises(BadInput, match="session-0002 only tests now"):
        teacher.check("ada", [parts[0], Part("session-0002", 0, 9, "test")])
