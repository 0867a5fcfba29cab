"""ONNX Runtime says what the layers mean: every layer, chunk by chunk, states included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Form
from edge.samples import ELECTRODES, WRISTS, Float32
from export import onnx
from export.parity import onnx_runtime
from personalize import spec, spec_numpy
from personalize.forms import form_of
from personalize.front_end import front_end
from personalize.networks import build
from personalize.reference import TorchRuntime
from tests.export.toys import (
    random_array,
    random_band,
    random_cell,
    random_frames,
    random_norm,
    small_network,
    talkative,
)

TOLERANCE = 2e-5  # float32 sums in another order


def runtime_of(network: spec.NetworkSpec, form: Form) -> onnx.OnnxRuntime:
    return onnx.OnnxRuntime(*onnx.lower(network, form))


def small_tail(seed: int, lookahead: int | None) -> spec.NetworkSpec:
    """The layers that look both ways, and a TDS block, over a small front."""
    rng = np.random.default_rng(seed)
    width, hidden, classes = 8, 3, 5
    conv = spec.TdsConv(random_array(rng, 2, 2, 4, fan_in=8), random_array(rng, 2), random_norm(rng, width))
    layers: list[spec.Layer] = [
        random_band(rng, width // 2, (-1, 0, 1)),
        spec.BiLstm(random_cell(rng, width, hidden), random_cell(rng, width, hidden), lookahead),
        spec.Linear(random_array(rng, classes, 2 * hidden), random_array(rng, classes)),
        spec.LogSoftmax(),
    ]
    if lookahead is not None:
        layers.insert(1, conv)
        layers.insert(3, spec.DropTail(lookahead))
    return spec.NetworkSpec("both ways", tuple(layers), 1)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**16), chunks=st.lists(st.sampled_from([2, 4, 8]), min_size=1, max_size=3))
def test_a_causal_network_says_what_its_layers_mean(seed: int, chunks: list[int]) -> None:
    network = small_network(seed, offsets=(-1, 0, 1))
    frames = random_frames(seed, sum(chunks))
    state, held = spec_numpy.initial_state(network), spec_numpy.initial_state(network)
    start = 0
    for chunk in chunks:
        runtime = runtime_of(network, form_of(network, chunk_frames=chunk))
        found, state = runtime.run(frames[start : start + chunk], state)
        expected, held = spec_numpy.step(network, frames[start : start + chunk], held)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        for one, other in zip(state, held, strict=True):
            np.testing.assert_allclose(one, other, atol=TOLERANCE)
        start += chunk


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16), chunk=st.integers(1, 4), lookahead=st.integers(0, 3))
def test_a_lookahead_carries_the_state_from_before_it(seed: int, chunk: int, lookahead: int) -> None:
    network = small_tail(seed, lookahead)
    runtime = runtime_of(network, form_of(network, chunk_frames=chunk, lookahead_frames=lookahead))
    frames = random_frames(seed, 3 * chunk + lookahead)
    state, held = runtime.initial_state(), spec_numpy.initial_state(network)
    for start in range(0, 3 * chunk, chunk):
        x = frames[start : start + chunk + lookahead]
        found, state = runtime.run(x, state)
        expected, held = spec_numpy.step(network, x, held)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        for one, other in zip(state, held, strict=True):
            np.testing.assert_allclose(one, other, atol=TOLERANCE)


def test_a_whole_window_stands_alone() -> None:
    network = small_tail(3, None)
    runtime = runtime_of(network, form_of(network, chunk_frames=9, whole_window=True))
    frames = random_frames(4, 9)
    found, after = runtime.run(frames, runtime.initial_state())
    assert after == ()
    np.testing.assert_allclose(found, spec_numpy.run(network, frames), atol=TOLERANCE)


@pytest.mark.parametrize("takes", ["samples", "samples_int16"])
def test_raw_samples_pass_the_front_end_in_the_graph(takes: str) -> None:
    _, manifest = talkative("streaming", 4)
    uv_per_lsb = 0.2 if takes == "samples_int16" else None
    rest = small_network(5)
    network = rest._replace(layers=(front_end(manifest, uv_per_lsb=uv_per_lsb), *rest.layers))
    form = form_of(network, chunk_frames=4, takes=takes, uv_per_lsb=uv_per_lsb)  # type: ignore[arg-type]
    runtime = runtime_of(network, form)
    rng = np.random.default_rng(6)
    state, held = runtime.initial_state(), spec_numpy.initial_state(network)
    for _ in range(3):
        samples = (100 * rng.standard_normal((form.input_samples, WRISTS, ELECTRODES))).astype(np.float32)
        given_samples = samples.astype(np.int16) if uv_per_lsb else samples
        valid: Float32 = (rng.random((4, WRISTS)) > 0.3).astype(np.float32)
        found, state = runtime.run((given_samples, valid), state)
        expected, held = spec_numpy.step(network, given_samples, held, valid)
        np.testing.assert_allclose(found, expected, atol=2e-4)  # log10 of small sums
        for one, other in zip(state, held, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("streaming", Form(chunk_frames=4)),
        ("tds", Form(chunk_frames=3)),
        ("spatial_lstm", Form(chunk_frames=5, lookahead_frames=4)),
        ("spatial_lstm", Form(chunk_frames=9, whole_window=True)),
    ],
)
def test_each_network_says_what_torch_says(name: str, form: Form) -> None:
    torch.manual_seed(0)
    network = build(name)
    runtime, reference = onnx_runtime(network, form), TorchRuntime(network, form)
    states = runtime.initial_state(), reference.initial_state()
    for seed in range(2):
        frames = random_frames(seed, form.input_frames)
        found, state = runtime.run(frames, states[0])
        expected, held = reference.run(frames, states[1])
        states = state, held
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


def test_what_it_cannot_be_is_refused() -> None:
    network = small_network(0)
    form = form_of(network, chunk_frames=4)
    with pytest.raises(BadInput, match="int8_dynamic"):
        onnx.lower(network, form.model_copy(update={"precision": "int8_dynamic"}))
    with pytest.raises(BadInput, match="state"):
        onnx.lower(network, form.model_copy(update={"state": ()}))
    content, _ = onnx.lower(network, form)
    with pytest.raises(BadInput, match=r"the \.onnx takes"):
        onnx.OnnxRuntime(content, form.model_copy(update={"state": ()}))
