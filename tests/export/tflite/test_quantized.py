"""int8: that it happened, that chunks change no bit of static int8, and that TFLite Micro agrees."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Form, Precision
from edge.runtimes.litert import LiteRtRuntime
from edge.runtimes.tflm import TflmRuntime
from edge.samples import Float32
from export.tflite import lower
from export.tflite.calibrate import calibrated_ranges
from personalize import spec
from personalize.forms import form_of
from personalize.networks import build, streamed
from tests.export.tflite.streams import (
    arrays,
    expected,
    frames_of,
    latency_controlled,
    operators,
    say,
    tds,
)
from tests.export.toys import FRAME, form, random_frames, small_network

MATRICES = ("FULLY_CONNECTED", "CONV_2D")


def static(network: spec.NetworkSpec, chunk: int, lookahead: int = 0) -> tuple[bytes, Form]:
    cut = form_of(network, chunk_frames=chunk, lookahead_frames=lookahead, precision="int8_static")
    return lower(network, cut, [random_frames(99, 200)])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), strides=st.integers(2, 6), causal=st.booleans())
@example(seed=4968, strides=2, causal=False)
def test_chunks_change_nothing_of_static_int8_but_a_tie(seed: int, strides: int, causal: bool) -> None:
    # Layer norms are float: more rows at once may round their last bit otherwise, and what lies on a tie is
    # then quantized to the neighbouring step.
    network = small_network(seed) if causal else tds(seed)
    step = network.stride
    frames = random_frames(seed, step * strides * 2)
    runs = []
    for size in (step, step * strides, len(frames)):
        content, cut = static(network, size)
        runs.append(say(LiteRtRuntime(content, cut), np.split(frames, len(frames) // size)))
    for run in runs[1:]:
        np.testing.assert_allclose(run.log_probs, runs[0].log_probs, atol=5e-3)
        for value, other in zip(run.states[-1], runs[0].states[-1], strict=True):
            np.testing.assert_allclose(value.astype(np.int32), other.astype(np.int32), atol=1)


@pytest.mark.parametrize("precision", ["int8_dynamic", "int8_static"])
@pytest.mark.parametrize("kind", ["causal", "tds", "latency_controlled"])
def test_int8_stays_near_float(kind: str, precision: Precision) -> None:
    lookahead = 3 if kind == "latency_controlled" else 0
    made = {"causal": small_network, "tds": tds}
    network = made[kind](1) if kind in made else latency_controlled(1, lookahead)
    cut = form_of(network, chunk_frames=4, lookahead_frames=lookahead, precision=precision)
    content, stored = lower(network, cut, [random_frames(99, 200)] if precision == "int8_static" else ())
    calls = frames_of(cut, 10, seed=2)
    found, wanted = say(LiteRtRuntime(content, stored), calls), expected(network, calls)
    error = np.abs(found.log_probs - wanted.log_probs)
    # A step of 8 bits over these toys' range is 0.05; a scale, or a state, taken wrongly is off by units.
    assert 0 < error.max() < 0.6
    assert error.mean() < 0.12


@pytest.mark.parametrize("per_tensor", [False, True])
def test_dynamic_int8_happened(per_tensor: bool) -> None:
    network = build("streaming").spec()
    cut = form(network, 4).model_copy(update={"precision": "int8_dynamic"})
    content, stored = lower(network, cut, per_tensor=per_tensor)
    found = operators(content)
    matrices = [entry for entry in found if entry.name in MATRICES]
    assert len(matrices) == 2 + 2 + 1 + 2 + 1  # bands, convolutions, LSTM input, two recurrent steps, head
    assert all(entry.types[:2] == ("FLOAT32", "INT8") for entry in matrices)
    versions = {entry.version for entry in matrices if entry.name == "FULLY_CONNECTED"}
    assert versions == ({9} if per_tensor else {12})
    assert {tensor.dtype for tensor in stored.state} == {"float32"}
    assert len(content) < 0.27 * sum(array.nbytes for array in arrays(network))


def test_static_int8_happened() -> None:
    network = build("micro").spec()
    content, stored = static(network, 2)
    found = operators(content)
    matrices = [entry for entry in found if entry.name in MATRICES]
    assert Counter(entry.types for entry in matrices) == {
        ("INT8", "INT8", "INT32"): 2 + 2 + 1,  # bands, convolutions, LSTM input
        ("INT16", "INT8"): 1,  # recurrent
        ("INT16", "INT8", "INT64"): 1,  # head
    }
    gates = [entry for entry in found if entry.name in ("LOGISTIC", "TANH", "MUL") and "INT16" in entry.types]
    assert len(gates) == 1 + 2 + 3
    assert [(tensor.name, tensor.dtype) for tensor in stored.state] == [
        ("past_1", "int8"),
        ("past_2", "int8"),
        ("h_1", "int16"),
        ("c_1", "int16"),
    ]
    assert len(content) <= 400e3  # what the smallest target has for it


def test_static_int8_of_a_latency_controlled_network_fits_its_budget() -> None:
    twin = streamed(build("spatial_lstm"), 25)
    network = twin.spec()
    cut = form_of(network, chunk_frames=25, lookahead_frames=25, precision="int8_static")
    for precision, calibration in (("int8_static", [random_frames(0, 60)]), ("int8_dynamic", [])):
        content = lower(network, cut.model_copy(update={"precision": precision}), calibration).content
        assert len(content) <= 3.1e6


@pytest.mark.parametrize("kind", ["causal", "tds", "latency_controlled"])
def test_tflite_micro_says_what_litert_says(kind: str) -> None:
    lookahead = 2 if kind == "latency_controlled" else 0
    made = {"causal": small_network, "tds": tds}
    network = made[kind](4) if kind in made else latency_controlled(4, lookahead)
    content, cut = static(network, 2, lookahead)
    calls = frames_of(cut, 20, seed=3)
    micro, phone = (say(runtime(content, cut), calls).log_probs for runtime in (TflmRuntime, LiteRtRuntime))
    # Their kernels round differently: a step of 16 bits in a gate, now and then one of 8 bits.
    np.testing.assert_allclose(micro, phone, atol=0.15)
    assert np.abs(micro - phone).mean() < 0.02


def test_a_float_file_runs_in_tflite_micro_too() -> None:
    network = small_network(6)
    content, cut = lower(network, form(network, 2))
    calls = frames_of(cut, 3, seed=3)
    said = say(TflmRuntime(content, cut), calls).log_probs
    np.testing.assert_allclose(said, expected(network, calls).log_probs, atol=2e-4)


def test_a_stray_value_in_calibration_does_not_set_the_scale() -> None:
    network = small_network(7)
    recording = random_frames(98, 1000)
    recording[100, 0, 3, :16] = 1000.0  # of a million values
    cut = form_of(network, chunk_frames=2, precision="int8_static")
    found = calibrated_ranges(network, cut, [recording])["layer_3.in"]
    assert found.largest > 100
    assert -20 < found.low < -2
    assert 2 < found.high < 20


def broken(value: float) -> Float32:
    frames = random_frames(0, 100)
    frames[3, 1, 2, 4] = value
    return frames


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ([], "needs recordings to calibrate by"),
        ([random_frames(0, 100), broken(float("nan"))], "recording 2 holds values that are not finite"),
        ([broken(float("inf"))], "recording 1 holds values that are not finite"),
        ([random_frames(0, 49)], "49 frames, at least 50"),
        ([np.zeros((100, *FRAME[:2], 30), np.float32)], "has shape"),
        ([np.zeros((100, 33), np.float32)], "has shape"),
    ],
)
def test_calibration_that_shows_nothing_is_refused(calibration: list[Float32], message: str) -> None:
    network = small_network(0)
    with pytest.raises(BadInput, match=message):
        lower(network, form_of(network, chunk_frames=2, precision="int8_static"), calibration)


def test_static_int8_of_whole_windows_is_refused() -> None:
    network = build("spatial_lstm").spec()
    cut = form(network, 50).model_copy(update={"precision": "int8_static"})
    with pytest.raises(BadInput, match="export it with a lookahead"):
        lower(network, cut, [random_frames(0, 100)])
