import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize import augment
from personalize.recipe import Augmentation

NOTHING = Augmentation(
    rotation_electrodes=0, jitter_s=0, time_masks=0, time_mask_s=0, frequency_masks=0, frequency_mask_bins=0
)


def frames(seed=0, count=50):
    return np.random.default_rng(seed).standard_normal((count, 2, 16, 33)).astype(np.float32)


def augmented(settings, seed):
    x = frames()
    augment.augment(x, settings, np.random.default_rng(seed))
    return x


def test_nothing_asked_changes_nothing():
    assert np.array_equal(augmented(NOTHING, 3), frames())


@given(wrist=st.integers(0, 1), electrodes=st.integers(-16, 16))
def test_whole_rotations_roll_the_ring_of_one_wrist(wrist, electrodes):
    x = frames()
    augment.rotate(x, wrist, float(electrodes))
    assert np.array_equal(x[:, wrist], np.roll(frames()[:, wrist], electrodes, axis=1))
    assert np.array_equal(x[:, 1 - wrist], frames()[:, 1 - wrist])


def test_between_two_electrodes_the_ring_is_interpolated():
    x = frames()
    augment.rotate(x, 0, -0.25)
    ring = frames()[:, 0]
    np.testing.assert_allclose(x[:, 0], 0.75 * ring + 0.25 * np.roll(ring, -1, axis=1), atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_wrists_are_rotated_on_their_own_by_less_than_asked(seed):
    settings = NOTHING.model_copy(update={"rotation_electrodes": 1.0})
    x = np.zeros((1, 2, 16, 33), np.float32)
    x[:, :, 8] = 1.0  # one electrode speaks
    augment.augment(x, settings, np.random.default_rng(seed))
    np.testing.assert_allclose(x.sum(2), 1.0, atol=1e-6)
    assert not x[:, :, [*range(7), *range(10, 16)]].any()
    assert not np.allclose(x[:, 0], x[:, 1])


@given(seed=st.integers(0, 2**32 - 1))
def test_jitter_moves_one_wrist_against_the_other_by_at_most_60_ms(seed):
    x = augmented(NOTHING.model_copy(update={"jitter_s": 0.06}), seed)
    moved = [w for w in range(2) if not np.array_equal(x[:, w], frames()[:, w])]
    assert len(moved) <= 1
    for wrist in moved:
        assert any(np.array_equal(x[10:40, wrist], frames()[10 - k : 40 - k, wrist]) for k in range(-8, 9))


@given(seed=st.integers(0, 2**32 - 1))
def test_time_masks_hold_the_mean_on_one_wrist_and_end_in_time(seed):
    x = augmented(NOTHING.model_copy(update={"time_masks": 1, "time_mask_s": 0.08}), seed)
    changed = (x != frames()).any((2, 3))  # (T, W)
    assert changed.any(0).sum() <= 1
    assert changed.sum() <= 10
    for t, wrist in np.argwhere(changed):
        np.testing.assert_allclose(x[t, wrist], frames()[:, wrist].mean(0), atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_frequency_masks_are_neighbouring_bins_of_all_electrodes(seed):
    x = augmented(NOTHING.model_copy(update={"frequency_masks": 1, "frequency_mask_bins": 4}), seed)
    changed = np.flatnonzero((x != frames()).any((0, 1, 2)))
    assert len(changed) <= 4
    assert np.ptp(changed) < 4 if len(changed) else True
    if len(changed):
        assert np.ptp(x[..., changed]) == 0


@given(seed=st.integers(0, 2**32 - 1))
def test_electrode_masks_silence_neighbours_on_one_ring(seed):
    x = augmented(NOTHING.model_copy(update={"electrode_masks": 1, "electrode_mask_width": 4}), seed)
    silent = (x == 0).all((0, 3))  # (W, E)
    assert np.array_equal(x[:, ~silent], frames()[:, ~silent])
    assert silent.any(1).sum() <= 1
    assert silent.sum() <= 4
    starts = (silent & ~np.roll(silent, 1, axis=1)).sum()  # on a ring, one run begins once
    assert starts == silent.any()


@given(seed=st.integers(0, 2**32 - 1))
def test_masks_that_are_not_asked_for_move_no_other_draw(seed):
    settings = NOTHING.model_copy(update={"rotation_electrodes": 1.0})
    rng = np.random.default_rng(seed)
    augment.augment(frames(), settings, rng)
    expected = np.random.default_rng(seed)
    for _ in range(2):
        expected.uniform(-1, 1)
    expected.integers(2)
    assert rng.bit_generator.state == expected.bit_generator.state


@pytest.mark.parametrize(
    "name", ["electrode_masks", "time_masks", "frequency_masks", "rotation_electrodes", "jitter_s"]
)
def test_every_setting_does_something(name):
    everything = Augmentation(
        rotation_electrodes=0,
        jitter_s=0.06 if name == "jitter_s" else 0,
        time_masks=0,
        time_mask_s=0.1,
        frequency_masks=0,
        frequency_mask_bins=4,
        electrode_mask_width=4,
    )
    if name != "jitter_s":
        everything = everything.model_copy(update={name: 2})
    assert any(not np.array_equal(augmented(everything, seed), frames()) for seed in range(20))
