"""The wearer: the same person again and again, a new day each session, and refusals in one sentence."""

from itertools import islice

import numpy as np
import pytest

from edge.errors import BadInput
from edge.features import LogSpectrogram
from edge.highpass import HighPass
from edge.prompts import prompt_deck
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, KeyPress
from simulate.difficulty import preset, presets
from simulate.wearer import Wearer

SHORT_S = 20.0


@pytest.fixture(scope="module")
def performance():
    return Wearer(4).perform(0, duration_s=SHORT_S)


def filtered(performance):
    high_pass = HighPass()
    return high_pass.step(high_pass.initial_state(performance.emg_uv[0]), performance.emg_uv)[1]


def test_the_same_session_twice_is_the_same_to_the_byte(performance):
    again = Wearer(4).perform(0, duration_s=SHORT_S)
    assert again.emg_uv.tobytes() == performance.emg_uv.tobytes()
    assert (again.keys, again.prompts) == (performance.keys, performance.prompts)


def test_a_session_does_not_depend_on_those_before_it(performance):
    wearer = Wearer(4)
    wearer.perform(7, duration_s=5)
    assert wearer.perform(0, duration_s=SHORT_S).emg_uv.tobytes() == performance.emg_uv.tobytes()


@pytest.mark.parametrize(("user", "session"), [(4, 1), (5, 0)])
def test_another_session_or_user_differs(performance, user, session):
    other = Wearer(user).perform(session, duration_s=SHORT_S)
    assert other.keys != performance.keys
    assert np.abs(np.corrcoef(other.emg_uv[:, 0, 0], performance.emg_uv[:, 0, 0])[0, 1]) < 0.99


def test_difficulty_changes_the_signal_and_not_what_is_typed(performance):
    for name in ("mid", "hard"):
        other = Wearer(4, name).perform(0, duration_s=SHORT_S)
        assert other.keys == performance.keys
        assert not np.array_equal(other.emg_uv, performance.emg_uv)


def test_samples_are_microvolts_of_the_asked_length(performance):
    assert performance.emg_uv.shape == (SHORT_S * RATE_HZ, WRISTS, ELECTRODES)
    assert performance.emg_uv.dtype == np.float32 and np.isfinite(performance.emg_uv).all()
    assert performance.valid.all() and performance.duration_s == SHORT_S


@pytest.mark.parametrize("difficulty", presets())
def test_amplitudes_are_near_those_of_real_recordings(difficulty):
    # A published network's batch norm saw log10 power of mean 0.51, variance 1.15 (facts of emg2qwerty).
    stage = LogSpectrogram()
    values = []
    for user in range(3):
        performance = Wearer(user, difficulty).perform(0, duration_s=SHORT_S)
        values.append(stage.step(stage.initial_state(), filtered(performance), performance.valid)[1].values)
    assert np.mean(values) == pytest.approx(0.5, abs=0.2)
    assert np.var(np.concatenate(values), axis=(0, 3)).mean() == pytest.approx(1.1, abs=0.35)


def test_the_calibrated_wearer_has_the_published_log_power_and_a_real_wrists_spectrum():
    # 0.511 and 1.146 in emg2qwerty; about 110 Hz in GRABMyo (docs/simulation.md: 20 wearers of 90 s)
    stage, values, power = LogSpectrogram(), [], 0
    for user in range(6):
        performance = Wearer(user, "calibrated").perform(0, duration_s=30)
        emg_uv = filtered(performance)
        values.append(stage.step(stage.initial_state(), emg_uv, performance.valid)[1].values)
        power = power + np.square(np.abs(np.fft.rfft(emg_uv[RATE_HZ // 2 :], axis=0))).mean((1, 2))
    assert np.mean(values) == pytest.approx(0.511, abs=0.05)
    assert np.var(np.concatenate(values), axis=(0, 3)).mean() == pytest.approx(1.146, abs=0.1)
    hz = np.linspace(0, RATE_HZ / 2, len(power))
    power[hz < 40] = 0
    assert 95 < hz[np.searchsorted(np.cumsum(power), power.sum() / 2)] < 130


def test_muscles_speak_when_keys_are_pressed(performance):
    size = np.abs(filtered(performance)).mean((1, 2))
    at = np.array([key.press_s for key in performance.keys]) * RATE_HZ
    pressing = np.mean([size[int(i) - 200 : int(i) + 200].mean() for i in at])
    assert pressing > 1.5 * size[RATE_HZ // 2 : int(1.5 * RATE_HZ)].mean()  # the rest before the first prompt


def test_prompts_are_typed_in_order_and_then_it_ends():
    prompts = list(islice(prompt_deck(9), 3))
    performance = Wearer(2).perform(0, prompts=prompts)
    assert [prompt.text for prompt in performance.prompts] == prompts
    assert performance.keys[-1].key == "Key.enter"
    assert 0 < performance.duration_s - performance.keys[-1].release_s < 2
    padded = Wearer(2).perform(0, prompts=prompts, duration_s=60)
    assert padded.keys == performance.keys and padded.duration_s == 60


@pytest.mark.parametrize(("side", "worn", "other"), [("left", 0, 1), ("right", 1, 0)])
def test_one_hand_types_alone(side, worn, other):
    performance = Wearer(3, sides=(side,)).perform(0, prompts=["with one hand alone"])
    assert performance.keys
    assert performance.valid[:, worn].all() and not performance.valid[:, other].any()
    assert performance.emg_uv[:, worn].std() > 1 and not performance.emg_uv[:, other].any()


def test_each_hand_moves_for_its_own_keys_of_a_log_and_for_no_others():
    starts = {"a": 1.0, "Key.left": 3.0, "k": 5.0}
    log = [KeyPress(key, s + 0.2 * i, s + 0.2 * i + 0.1) for key, s in starts.items() for i in range(6)]
    performance = Wearer(1).perform_keys(0, log)
    size = np.abs(filtered(performance)).mean(2)  # (T, W)
    left_key, arrow, right_key = (
        size[int((s - 0.15) * RATE_HZ) : int((s + 1.15) * RATE_HZ)].mean(0) for s in starts.values()
    )
    assert performance.keys == tuple(log)
    assert left_key[0] > 1.4 * arrow[0] and right_key[1] > 1.4 * arrow[1]
    assert left_key[1] < 1.2 * arrow[1] and right_key[0] < 1.2 * arrow[0]


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (lambda: Wearer(-1), "number from 0"),
        (lambda: Wearer(0, "easy"), "medium, mid, hard"),
        (lambda: Wearer(0, sides=("right", "left")), "sides"),
        (lambda: Wearer(0).perform(0), "duration_s"),
        (lambda: Wearer(0).perform(-1, duration_s=5), "session"),
        (lambda: Wearer(0).perform(0, duration_s=-3), "-3"),
        (lambda: Wearer(0).perform(0, prompts=["naïve"]), "ï"),
        (lambda: Wearer(0).perform_keys(0, []), "at least one"),
        (lambda: Wearer(0).perform_keys(0, [KeyPress("a", -1, 0)]), "before 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(refused, says):
    with pytest.raises(BadInput, match=says):
        refused()


def test_presets_are_found_by_name():
    assert (
        [preset(name).name for name in presets()]
        == list(presets())
        == ["medium", "mid", "hard", "calibrated"]
    )


def test_a_missing_muscle_is_missing_and_the_fingers_without_it_type_on(performance):
    ring_finger = ("FDS4", "EDC4")
    other = Wearer(4, missing=ring_finger).perform(0, duration_s=SHORT_S)
    assert other.keys == performance.keys
    power = [np.square(filtered(one)).mean((0, 1)).sum() for one in (other, performance)]
    assert 0.5 < power[0] / power[1] < 0.98
    units = Wearer(4)._units["left"]
    kept = units.without(ring_finger)
    assert set(np.unique(units.muscle)) - set(np.unique(kept.muscle)) == {2, 12}
    assert units.without(()).muscle.tolist() == units.muscle.tolist()


def test_a_muscle_that_nobody_has_is_refused():
    with pytest.raises(BadInput, match="no muscle 'biceps'"):
        Wearer(4, missing=("biceps",))
