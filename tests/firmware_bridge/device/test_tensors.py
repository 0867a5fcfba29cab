"""A call's arrays as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BadInput
from edge.manifest import Form, TensorSpec
from firmware_bridge.device.tensors import Calls
from tests.firmware_bridge.device.making import CALLS, FORM, answered, frames

SAMPLES = Form(
    chunk_frames=4,
    takes="samples_int16",
    uv_per_lsb=0.2,
    precision="int8_static",
    state=(TensorSpec(name="h_1", shape=(5,), dtype="int8", scale=0.1, zero_point=-3),),
)


def test_a_call_arrives_as_it_was_packed() -> None:
    x = frames(0)
    assert CALLS.input_bytes == len(CALLS.pack_input(x)) == x.nbytes
    np.testing.assert_array_equal(CALLS.unpack_input(CALLS.pack_input(x)), x)
    log_probs, state = answered(x, FORM.initial_state())
    for found, expected in zip(CALLS.unpack_state(CALLS.pack_state(state)), state, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(CALLS.unpack_result(log_probs.tobytes()), log_probs)
    assert CALLS.result_bytes == log_probs.nbytes


def test_samples_and_which_frames_miss_none() -> None:
    calls = Calls(SAMPLES, rows=2)
    rng = np.random.default_rng(0)
    x = rng.integers(-999, 999, (112, 2, 16)).astype(np.int16), rng.random((4, 2)).astype(np.float32)
    content = calls.pack_input(x)
    assert content[:2] == int(x[0][0, 0, 0]).to_bytes(2, "little", signed=True)
    for found, expected in zip(calls.unpack_input(content), x, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    (state,) = calls.unpack_state(calls.pack_state(SAMPLES.initial_state()))
    assert (state.dtype, set(state.tolist())) == (np.int8, {-3})


def test_other_shapes_and_types_are_refused() -> None:
    with pytest.raises(BadInput, match=r"float32 \(2, 2, 16, 33\); it was given float32 \(1, 2, 16, 33\)"):
        CALLS.pack_input(frames(0)[:1])
    with pytest.raises(BadInput, match="a state of this artifact"):
        CALLS.pack_state(())
