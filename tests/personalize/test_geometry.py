import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalize.geometry import Geometry
from personalize.networks import NETWORKS, build

STREAMING = Geometry.of(build("streaming"), warmup_s=0.9, after_s=0.1)


def test_memory_is_warmed_up_only_where_there_is_one():
    tds = Geometry.of(build("tds"), warmup_s=0.9, after_s=0.1)
    lstm = Geometry.of(build("spatial_lstm"), warmup_s=0.9, after_s=0.1)
    assert (tds.warmup, tds.after) == (0, 0)
    assert (lstm.warmup, lstm.after) == (113, 13)
    assert (STREAMING.warmup, STREAMING.after) == (114, 0)


@given(press_s=st.floats(0, 1000))
def test_a_key_is_due_where_the_live_path_reads_it_back(press_s):
    due = int(STREAMING.due(np.array([press_s * 125]))[0])
    assert due == int((press_s * 125 + 12) // 2)
    heard_as_s = (due * 2 - 12) / 125  # edge.pipeline's inverse
    assert abs(heard_as_s - press_s) <= 0.016 + 1e-9


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_key_is_due_again_where_it_was_due(name):
    geometry = Geometry.of(build(name))
    due = np.arange(50)
    assert geometry.due(geometry.pressed(due)).tolist() == due.tolist()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_core_has_all_its_context_and_the_range_is_as_wide_as_that_allows(name):
    geometry = Geometry.of(build(name), warmup_s=0.9, after_s=0.1)
    for frames in (0, 100, 131, 400, 1000):
        cores = geometry.cores(frames)
        for first, stop in [(cores.start, cores.stop)] if cores else []:
            start = first * geometry.stride - geometry.frames_before
            assert start >= 0
            assert start + geometry.window_frames(stop - first) <= frames
            assert start - geometry.stride < 0
            assert start + geometry.window_frames(stop + 1 - first) > frames
