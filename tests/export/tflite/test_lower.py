"""float32: LiteRT computes what NumPy computes, for every layer, in every cut; state is carried exactly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Form, Normalization, Precision, TensorSpec
from edge.normalize import Prior
from edge.runtimes.litert import LiteRtRuntime
from export.tflite import lower
from personalize import spec
from personalize.forms import form_of
from personalize.front_end import front_end
from personalize.networks import build, streamed
from tests.export.tflite.streams import (
    arrays,
    expected,
    frames_of,
    latency_controlled,
    operators,
    samples_of,
    say,
    tds,
)
from tests.export.toys import (
    FRAME,
    form,
    random_array,
    random_band,
    random_cell,
    random_frames,
    small_network,
)

# float32 sums in another order, amplified by norms; a wrong lowering is off by a hundred times more.
CLOSE = 2e-4


def agree(network: spec.NetworkSpec, cut: Form, calls: list[Any], atol: float = CLOSE) -> None:
    content, stored = lower(network, cut)
    assert stored == cut
    found, wanted = say(LiteRtRuntime(content, cut), calls), expected(network, calls)
    np.testing.assert_allclose(found.log_probs, wanted.log_probs, atol=atol)
    for state, meant in zip(found.states, wanted.states, strict=True):
        for value, other in zip(state, meant, strict=True):
            np.testing.assert_allclose(value, other, atol=atol)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    stride=st.integers(1, 3),
    strides=st.integers(1, 5),
    offsets=st.lists(st.integers(-17, 17), min_size=1, max_size=3).map(tuple),
    kernel=st.integers(2, 6),
)
def test_a_causal_stream(seed: int, stride: int, strides: int, offsets: tuple[int, ...], kernel: int) -> None:
    network = small_network(seed, stride=stride, offsets=offsets, kernel=kernel)
    cut = form(network, stride * strides)
    agree(network, cut, frames_of(cut, 3, seed))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    chunk=st.integers(1, 6),
    channels=st.sampled_from((2, 4)),
    columns=st.integers(1, 3),
    kernel=st.integers(2, 5),
)
def test_a_tds_stream(seed: int, chunk: int, channels: int, columns: int, kernel: int) -> None:
    network = tds(seed, channels=channels, columns=columns, kernel=kernel)
    cut = form_of(network, chunk_frames=chunk)
    agree(network, cut, frames_of(cut, 3, seed))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), chunk=st.integers(1, 5), lookahead=st.integers(0, 4))
def test_a_latency_controlled_stream(seed: int, chunk: int, lookahead: int) -> None:
    network = latency_controlled(seed, lookahead)
    cut = form_of(network, chunk_frames=chunk, lookahead_frames=lookahead)
    agree(network, cut, frames_of(cut, 3, seed))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    chunk=st.integers(1, 5),
    lookahead=st.integers(0, 4),
    normalized=st.booleans(),
    uv_per_lsb=st.sampled_from((None, 0.25)),
)
def test_the_front_end(
    seed: int, chunk: int, lookahead: int, normalized: bool, uv_per_lsb: float | None
) -> None:
    rng = np.random.default_rng(seed)
    prior = Prior(random_array(rng, *FRAME), 0.5 + np.abs(random_array(rng, *FRAME)))
    manifest: Any = SimpleNamespace(normalization=Normalization.of(prior) if normalized else None)
    first = front_end(manifest, uv_per_lsb=uv_per_lsb, lookahead=lookahead)
    network = spec.NetworkSpec("front end", (first, spec.DropTail(lookahead)), 1)
    takes = "samples" if uv_per_lsb is None else "samples_int16"
    cut = form_of(network, chunk_frames=chunk, lookahead_frames=lookahead, takes=takes, uv_per_lsb=uv_per_lsb)
    calls = samples_of(cut, 3, seed)
    found, wanted = say(LiteRtRuntime(lower(network, cut).content, cut), calls), expected(network, calls)
    pairs = [(found.log_probs, wanted.log_probs), *zip(found.states[-1], wanted.states[-1], strict=True)]
    for value, other in pairs:
        # Where a bin is all but empty, its logarithm magnifies rounding: about one value in a thousand.
        far = np.abs(value - other) > 1e-3
        assert far.mean() < 0.01


@pytest.mark.parametrize(("name", "lookahead"), [("spatial_lstm", 3), ("streaming", 0), ("micro", 0)])
def test_a_real_network_equals_its_streamed_twin(name: str, lookahead: int) -> None:
    torch.manual_seed(0)
    twin = streamed(build(name), lookahead).eval()
    network = twin.spec()
    cut = form_of(network, chunk_frames=4, lookahead_frames=lookahead)
    calls = frames_of(cut, 2, seed=1)
    said = say(LiteRtRuntime(lower(network, cut).content, cut), calls).log_probs
    state, parts = twin.initial_state(1), []
    with torch.no_grad():
        for call in calls:
            log_probs, state = twin(torch.from_numpy(call)[None], state)
            parts.append(log_probs[0].numpy())
    np.testing.assert_allclose(said, np.concatenate(parts), atol=1e-4)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), time=st.integers(1, 20), hidden=st.integers(1, 6))
def test_the_fused_lstm_of_a_whole_window(seed: int, time: int, hidden: int) -> None:
    rng = np.random.default_rng(seed)
    layer = spec.BiLstm(random_cell(rng, 6, hidden), random_cell(rng, 6, hidden))
    network = spec.NetworkSpec("bi", (random_band(rng, 3, (0,)), layer), 1)
    cut = form(network, time)
    agree(network, cut, [random_frames(seed, time)])


def test_a_window_does_not_remember_the_one_before() -> None:
    rng = np.random.default_rng(3)
    layer = spec.BiLstm(random_cell(rng, 6, 4), random_cell(rng, 6, 4))
    network = spec.NetworkSpec("bi", (random_band(rng, 3, (0,)), layer), 1)
    content, cut = lower(network, form(network, 5))
    frames = random_frames(3, 5)
    runtime = LiteRtRuntime(content, cut)
    first, second = (runtime.run(frames, ())[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    # The control: without the reset the variables carry over.
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner()
    careless = [signature(frames=frames)["log_probs"] for _ in range(2)]
    assert np.abs(careless[0] - careless[1]).max() > 0.01


def test_a_whole_window_is_one_fused_operator_a_layer() -> None:
    network = build("spatial_lstm").spec()
    for precision, largest in (("float32", 1.01), ("int8_dynamic", 0.27)):
        cut = form(network, 50).model_copy(update={"precision": precision})
        content = lower(network, cut).content
        fused = [entry for entry in operators(content) if entry.name == "BIDIRECTIONAL_SEQUENCE_LSTM"]
        assert len(fused) == 4
        assert len(content) < largest * sum(array.nbytes for array in arrays(network))


@pytest.mark.parametrize("precision", ["float32", "int8_dynamic", "int8_static"])
def test_compiled_model_runs_what_carries_its_state(precision: Precision) -> None:
    network = small_network(2)
    cut = form(network, 4).model_copy(update={"precision": precision})
    content, stored = lower(network, cut, [random_frames(0, 100)] if precision == "int8_static" else ())
    model = CompiledModel.from_buffer(content)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    calls = frames_of(stored, 3, seed=8)
    wanted = say(LiteRtRuntime(content, stored), calls)
    held = list(stored.initial_state())
    for number, call in enumerate(calls):
        for buffer, array in zip(inputs, [call, *held], strict=True):
            buffer.write(_writable(array))
        model.run_by_index(0, inputs, outputs)
        log_probs = outputs[0].read(2 * 7, np.float32).reshape(2, 7)
        np.testing.assert_allclose(log_probs, wanted.log_probs[2 * number :][:2], atol=1e-5)
        held = [
            buffer.read(_writable(array).size, _writable(array).dtype).view(array.dtype).reshape(array.shape)
            for buffer, array in zip(outputs[1:], held, strict=True)
        ]


def _writable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As the buffers of CompiledModel take it: flat, and int16, which their Python API lacks, as bytes."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.int8) if array.dtype == np.int16 else flat


@pytest.mark.parametrize(
    ("chunk_frames", "state", "message"),
    [
        (3, None, "chunks of 3 frames"),
        (4, (), "lists a state of"),
        (4, (TensorSpec(name="h_1", shape=(4,)),), "lists a state of"),
    ],
)
def test_what_does_not_fit_is_refused(
    chunk_frames: int, state: tuple[TensorSpec, ...] | None, message: str
) -> None:
    network = small_network(0)
    cut = form(network, chunk_frames)
    with pytest.raises(BadInput, match=message):
        lower(network, cut if state is None else cut.model_copy(update={"state": state}))
