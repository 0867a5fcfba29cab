import shutil
from unittest.mock import patch

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.session import BadSession, write_session
from edge.store import User, UserStore
from personalize import calibration, recipe, splits
from personalize.calibration import WINDOW_FRAMES, calibration_windows
from personalize.features import deployed_input, log_power
from personalize.fit import personalize_user
from personalize.model import load_model
from personalize.report import read_report, write_report
from tests.personalize.toys import toy_session

BARELY = recipe.load("streaming").model_copy(
    update={"steps": 1, "evaluations": 1, "batch_windows": 1, "window_s": 2.0}
)
LENGTHS_S = (30.0, 14.0, 8.0, 9.0)  # two to train on, one to choose, one to test


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A user with four recordings and the model of the first two. Tests that change it take a copy."""
    user = UserStore(tmp_path_factory.mktemp("store")).create("ada")
    for seed, seconds in enumerate(LENGTHS_S):
        write_session(user.session_path(user.new_session_name()), toy_session(seed, seconds))
    with patch.object(splits, "MIN_TRAINING_S", 10.0):
        return user, personalize_user(user, BARELY).folder


@pytest.fixture
def copy(trained, tmp_path):
    """The same, to be damaged."""
    user, folder = trained
    shutil.copytree(user.path, tmp_path / "ada")
    return User("ada", tmp_path / "ada"), tmp_path / "ada" / folder.relative_to(user.path)


def test_the_windows_are_what_the_network_was_given_in_training(trained):
    user, folder = trained
    windows = calibration_windows(user, folder)
    assert all(w.shape == (WINDOW_FRAMES, 2, 16, 33) and w.dtype == np.float32 for w in windows)
    manifest = load_model(folder)[1]
    given = [deployed_input(log_power(toy_session(seed, LENGTHS_S[seed])), manifest) for seed in (0, 1)]
    expected = [given[0][:1250], given[0][-1250:], given[1][:1250]]
    assert len(windows) >= len(expected)
    for wanted in expected:
        assert any(np.allclose(window, wanted, atol=0.02) for window in windows), "half precision, no more"


@settings(max_examples=12, deadline=None)
@given(roles=st.lists(st.sampled_from(["train", "validation", "test"]), min_size=4, max_size=4))
def test_a_recording_that_chose_or_tested_is_never_opened(trained, tmp_path_factory, roles):
    user, folder = trained
    other = tmp_path_factory.mktemp("model")
    (other / "model.json").write_bytes((folder / "model.json").read_bytes())
    report = read_report(folder)
    parts = [
        part.model_copy(update={"role": role, "minutes": 0.03})
        for part, role in zip(report.parts, roles, strict=True)
    ]
    write_report(other, report.model_copy(update={"parts": tuple(parts)}))
    opened = []
    session = toy_session(0, 3)

    def read(path):
        opened.append(path.stem)
        return session

    with patch.object(calibration, "read_session", read):
        if "train" in roles:
            calibration_windows(user, other)
        else:
            with pytest.raises(BadInput, match="none of the recordings"):
                calibration_windows(user, other)
    assert opened == [part.session for part in parts if part.role == "train"]


def test_of_one_session_the_end_that_chose_the_epoch_is_left_out(tmp_path):
    user = UserStore(tmp_path).create("eve")
    for seed, seconds in enumerate((30.0, 8.0)):
        write_session(user.session_path(user.new_session_name()), toy_session(seed, seconds))
    with patch.object(splits, "MIN_TRAINING_S", 10.0):
        _, folder = personalize_user(user, BARELY)
    given = deployed_input(log_power(toy_session(0, 30.0)), load_model(folder)[1])
    cut = round(0.8 * len(given))
    last = calibration_windows(user, folder)[-1]
    np.testing.assert_allclose(last, given[cut - WINDOW_FRAMES : cut], atol=0.02)


def test_what_cannot_calibrate_is_refused(copy):
    user, folder = copy
    with pytest.raises(BadInput, match="model of user ada; recordings of bob"):
        calibration_windows(User("bob", user.path), folder)
    kept = [path.read_bytes() for path in user.sessions()[:2]]
    write_session(user.sessions()[0], toy_session(0, 12))
    with pytest.raises(BadInput, match="shorter than the recording that trained"):
        calibration_windows(user, folder)
    user.sessions()[0].write_bytes(kept[0])
    paths = user.sessions()[:2]
    for path in paths:
        path.unlink()
    with pytest.raises(BadInput, match=r"none of the recordings.*session-0001, session-0002"):
        calibration_windows(user, folder)
    paths[1].write_bytes(kept[1])
    assert len(calibration_windows(user, folder)) >= 1, "what is left will do"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_no_number_is_refused(copy, value):
    user, folder = copy
    with h5py.File(user.sessions()[0], "r+") as file:
        rows = file["emg2qwerty/timeseries"][...]
        rows["emg_left"][700, 3] = value
        file["emg2qwerty/timeseries"][...] = rows
    with pytest.raises(BadSession, match="sample 700 of electrode 3 of the left band"):
        calibration_windows(user, folder)


def test_frames_that_are_no_numbers_are_refused(trained):
    user, folder = trained
    whole = calibration.FramedSession.of

    def spoilt(session, name):
        framed = whole(session, name=name)
        framed.values[5, 0, 0, 0] = np.nan
        return framed

    with (
        patch.object(calibration.FramedSession, "of", spoilt),
        pytest.raises(BadInput, match="not finite"),
    ):
        calibration_windows(user, folder)
