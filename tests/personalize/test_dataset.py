from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.charset import CHARSET
from personalize import recipe
from personalize.dataset import IGNORE, Windows
from personalize.features import FramedSession
from personalize.geometry import Geometry
from personalize.labels import Labels, Phrase
from personalize.networks import NETWORKS, build

GEOMETRIES = {name: Geometry.of(build(name), warmup_s=0.9, after_s=0.2) for name in NETWORKS}


def session(frames=1500, presses=(), phrases=None):
    """Frames that hold their own number, so that a test sees where a window was cut."""
    numbers = np.arange(frames, dtype=np.float16) % 1024
    values = np.broadcast_to(numbers[:, None, None, None], (frames, 2, 16, 33)).copy()
    labels = Labels(
        timed=phrases is None,
        classes=np.arange(len(presses), dtype=np.int64) % 90,
        press_frame=np.array(presses, np.float64),
        phrases=tuple(phrases or ()),
    )
    return FramedSession("s", values, np.ones((frames, 2), np.bool_), labels)


@pytest.mark.parametrize("name", list(NETWORKS))
@settings(max_examples=25, deadline=None)
@given(presses=st.lists(st.floats(0, 1499), max_size=40).map(sorted), seed=st.integers(0, 2**32 - 1))
def test_labels_are_exactly_the_keys_that_the_windows_emissions_are_to_say(name, presses, seed):
    geometry = GEOMETRIES[name]
    recording = session(presses=presses)
    due = geometry.due(recording.labels.press_frame)
    windows = Windows([recording], geometry, 2.0, 2).epoch(np.random.default_rng(seed))
    assert windows
    for window in windows:
        inside = (due >= window.first) & (due < window.stop)
        assert window.classes.tolist() == recording.labels.classes[inside].tolist()
        assert window.due.tolist() == (due[inside] - window.first).tolist()
        # The whole context was recorded.
        assert window.first * geometry.stride - geometry.frames_before >= 0
        assert window.stop * geometry.stride + geometry.frames_after <= 1500


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_networks_emissions_fall_on_the_core(name):
    geometry = GEOMETRIES[name]
    windows = Windows([session()], geometry, 2.0, 2)
    rng = np.random.default_rng(0)
    window = windows.epoch(rng)[0]
    batch = windows.batch([window], None, rng)
    emitted = (batch.frames.shape[1] - geometry.left_context - geometry.lookahead) // geometry.stride
    assert emitted == batch.skip + batch.due.shape[1] + geometry.after // geometry.stride
    # Emission `skip` of the network stands for the core's first frame.
    first_frame = batch.frames[0, geometry.left_context + batch.skip * geometry.stride, 0, 0, 0]
    assert int(first_frame) == window.first * geometry.stride % 1024


def test_windows_of_an_epoch_do_not_overlap_and_move_from_epoch_to_epoch():
    windows = Windows([session(4000)], GEOMETRIES["streaming"], 2.0, 2)
    rng = np.random.default_rng(0)
    epochs = [sorted((w.first, w.stop) for w in windows.epoch(rng)) for _ in range(4)]
    for cut in epochs:
        assert all(stop <= first for (_, stop), (first, _) in pairwise(cut))
    assert len({cut[0][0] for cut in epochs}) > 1


def test_each_key_is_due_for_two_emissions_and_blank_otherwise():
    geometry = GEOMETRIES["streaming"]
    windows = Windows([session(presses=[700.0])], geometry, 4.0, 2)
    rng = np.random.default_rng(0)
    window = next(w for w in windows.epoch(rng) if len(w.classes))
    due = windows.batch([window], None, rng).due[0]
    at = (700 + 12) // 2 - window.first
    assert due[at : at + 2].tolist() == [0, 0][: len(due) - at]
    assert (due != CHARSET.blank).sum() <= 2
    assert IGNORE not in due


def test_prompts_alone_give_windows_without_times():
    phrases = [Phrase(400, 600, (3, 4)), Phrase(700, 1200, (5,)), Phrase(10, 60, (6,))]
    geometry = GEOMETRIES["streaming"]
    windows = Windows([session(phrases=phrases)], geometry, 2.0, 2)
    rng = np.random.default_rng(0)
    found = sorted(windows.epoch(rng), key=lambda w: w.first)
    assert [w.classes.tolist() for w in found] == [[3, 4], [5]], "the context of the third was not recorded"
    assert (found[0].first, found[0].stop) == ((400 + 12) // 2, (600 + 12) // 2 + 1)
    batch = windows.batch(found, None, rng)
    assert (batch.due == IGNORE).all()
    assert batch.emissions.tolist() == [w.stop - w.first for w in found]


def test_aligned_prompts_say_when_each_key_is_due():
    geometry = GEOMETRIES["streaming"]
    phrases = [Phrase(400, 600, (3, 3), (450.0, 500.0), (550.0, 552.0)), Phrase(700, 1200, (5,))]
    windows = Windows([session(phrases=phrases)], geometry, 2.0, 2)
    rng = np.random.default_rng(0)
    aligned, other = sorted(windows.epoch(rng), key=lambda w: w.first)
    due = geometry.due(np.array([450.0, 500.0])) - aligned.first
    assert aligned.due.tolist() == due.tolist()
    assert other.due is None
    batch = windows.batch([aligned, other], None, rng)
    assert np.flatnonzero(batch.due[0] == 3).tolist() == sorted([*due, *(due + 1)])
    doubt = geometry.due(np.array([550.0, 552.0])) - aligned.first
    core = aligned.stop - aligned.first
    assert np.flatnonzero(batch.due[0] == IGNORE).tolist() == [*doubt, *range(core, batch.due.shape[1])]
    assert (batch.due[1] == IGNORE).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_long_aligned_prompts_are_cut_into_windows_anywhere(seed):
    geometry = GEOMETRIES["streaming"]
    times = tuple(np.arange(310.0, 1190.0, 11.0).tolist())
    classes = tuple(range(len(times)))
    recording = session(phrases=[Phrase(300, 1200, classes, times, (400.0, 800.0))])
    windows = Windows([recording], geometry, 2.0, 1)
    rng = np.random.default_rng(seed)
    found = windows.epoch(rng)
    assert len(found) in (2, 3), "7.2 s"
    due, doubt = (geometry.due(np.array(frames)) for frames in (times, (400.0, 800.0)))
    for window, targets in zip(found, windows.batch(found, None, rng).due, strict=True):
        assert window.stop - window.first == 125
        assert window.first >= geometry.due(np.array([300.0]))[0]
        inside = (due >= window.first) & (due < window.stop)
        assert window.classes.tolist() == np.flatnonzero(inside).tolist()
        assert window.due.tolist() == (due[inside] - window.first).tolist()
        unknown = [e - window.first for e in doubt.tolist() if window.first <= e < window.stop]
        assert np.flatnonzero(targets == IGNORE).tolist() == unknown


def test_mixed_batches_follow_short_windows_by_more_of_their_recording():
    geometry = GEOMETRIES["spatial_lstm"]
    windows = Windows(
        [session(presses=[500.0]), session(phrases=[Phrase(900, 1480, (7,))])], geometry, 2.0, 2
    )
    rng = np.random.default_rng(0)
    epoch = windows.epoch(rng)
    batch = windows.batch(
        [w for w in epoch if w.session == 0][:1] + [w for w in epoch if w.session == 1], None, rng
    )
    steps = np.diff(batch.frames[0, :, 0, 0, 0].numpy()) % 1024
    assert (steps == 1).all(), "real frames to the end"
    assert (batch.due[0] != IGNORE).sum() == batch.emissions[0]


def test_a_recording_shorter_than_a_window_gives_none():
    windows = Windows([session(200)], GEOMETRIES["streaming"], 4.0, 2)
    assert windows.epoch(np.random.default_rng(0)) == []
    settings_ = recipe.load("streaming").augment
    assert list(windows.batches(4, settings_, np.random.default_rng(0))) == []


def test_batches_are_the_same_for_the_same_seed():
    windows = Windows([session(presses=range(0, 1500, 40))], GEOMETRIES["streaming"], 2.0, 2)
    augmentation = recipe.load("streaming").augment
    one, other = (next(windows.batches(2, augmentation, np.random.default_rng(5))) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True) if hasattr(a, "all"))
    third = next(windows.batches(2, augmentation, np.random.default_rng(6)))
    assert not (one.frames == third.frames).all()


def test_batches_go_on_from_epoch_to_epoch():
    windows = Windows([replace(session(1000), name="short")], GEOMETRIES["streaming"], 4.0, 2)
    batches = windows.batches(8, recipe.load("streaming").augment, np.random.default_rng(0))
    assert [len(next(batches).frames) for _ in range(3)] == [8, 8, 8]
