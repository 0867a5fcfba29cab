from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.normalize import prior_from
from personalize import recipe
from personalize.features import FramedSession
from personalize.study_preprocess import SIX_BANDS, Preprocessing, adapted, preprocess
from tests.personalize.toys import toy_session

SESSIONS = [FramedSession.of(toy_session(seed, 6.0, sides=("left",))) for seed in range(2)]


def one(settings_):
    (learnt,), (judged,) = preprocess(SESSIONS[:1], SESSIONS[1:], settings_)
    return learnt, judged


def test_as_the_paper_changes_nothing_but_what_is_missing():
    learnt, _ = one(Preprocessing())
    np.testing.assert_array_equal(learnt.values[:, 0], SESSIONS[0].values[:, 0])
    assert not learnt.values[:, 1].any()
    assert learnt.labels is SESSIONS[0].labels


def test_six_bands_keep_each_bands_mean_and_nothing_else():
    learnt, judged = one(Preprocessing(bins=6))
    assert learnt.values.shape == SESSIONS[0].values.shape
    for before, after in ((SESSIONS[0], learnt), (SESSIONS[1], judged)):
        for start, stop in pairwise(SIX_BANDS):
            band = after.values[:, 0, :, start:stop]
            assert (band == band[..., :1]).all()
            expected = before.values[:, 0, :, start:stop].astype(np.float64).mean(-1)
            np.testing.assert_allclose(band[..., 0], expected, atol=5e-3)  # half precision
    assert len(np.unique(SIX_BANDS)) == 7


def test_statistics_are_of_training_alone():
    learnt, judged = one(Preprocessing(normalization="running"))
    prior = prior_from([SESSIONS[0].frames])
    np.testing.assert_array_equal(judged.values, SESSIONS[1].prepared(prior).values)
    assert abs(float(learnt.values[:, 0].mean())) < 0.1


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([6, 33]))
def test_every_second_frame_has_its_labels_where_they_were(bins):
    whole, _ = one(Preprocessing(bins=bins))
    half, _ = one(Preprocessing(bins=bins, hop_samples=32))
    np.testing.assert_array_equal(half.values, whole.values[::2])
    np.testing.assert_array_equal(half.valid, whole.valid[::2])
    np.testing.assert_allclose(half.labels.press_frame * 2, whole.labels.press_frame)
    np.testing.assert_array_equal(half.labels.classes, whole.labels.classes)
    assert [p.start_frame * 2 for p in half.labels.phrases] == [p.start_frame for p in whole.labels.phrases]


def test_half_the_frames_halve_every_time_of_the_recipe():
    paper = recipe.load("paper")
    half = adapted(paper, Preprocessing(hop_samples=32))
    assert adapted(paper, Preprocessing(bins=6)) is paper
    assert (half.window_s, half.warmup_s, half.after_s) == (2.0, 0.45, 0.05)
    assert half.augment.jitter_s == pytest.approx(0.03)
    assert half.augment.time_mask_s == pytest.approx(0.1)
