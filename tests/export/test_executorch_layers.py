"""The torch modules that are lowered: each layer equals its NumPy definition, state included."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.executorch.modules import Chunk
from personalize import spec, spec_numpy
from tests.export.executorch_toys import Call, cut, random_call, windowed_network, with_front
from tests.export.toys import random_frames, small_network

CLOSE = 2e-5  # float32 sums in another order; what the layers do is off by a thousand times more when wrong

seeds = st.integers(0, 2**16)


def assert_equal_to_numpy(network: spec.NetworkSpec, call: Call) -> None:
    with torch.no_grad():
        found = Chunk(network)(*map(torch.from_numpy, call.inputs))
    log_probs, after = spec_numpy.step(network, np.asarray(call.x, np.float32), call.state, call.valid)
    for tensor, expected in zip(found, (log_probs, *after), strict=True):
        np.testing.assert_allclose(tensor.numpy(), expected, atol=CLOSE, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    stride=st.integers(1, 3),
    strides=st.integers(1, 4),
    offsets=st.lists(st.integers(-17, 17), min_size=1, max_size=3).map(tuple),
    kernel=st.integers(2, 6),
)
def test_causal_layers(seed: int, stride: int, strides: int, offsets: tuple[int, ...], kernel: int) -> None:
    network = small_network(seed, stride=stride, offsets=offsets, kernel=kernel)
    assert_equal_to_numpy(network, random_call(seed, cut(network, stride * strides)))


@settings(max_examples=25, deadline=None)
@given(seed=seeds, chunk=st.integers(1, 6), lookahead=st.none() | st.integers(0, 4))
def test_both_ways(seed: int, chunk: int, lookahead: int | None) -> None:
    network = windowed_network(seed, lookahead=lookahead)
    assert_equal_to_numpy(network, random_call(seed, cut(network, chunk)))


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    chunk=st.integers(1, 6),
    lookahead=st.integers(0, 3),
    normalized=st.booleans(),
    uv_per_lsb=st.none() | st.floats(0.05, 0.5),
)
def test_the_front_end(
    seed: int, chunk: int, lookahead: int, normalized: bool, uv_per_lsb: float | None
) -> None:
    network = with_front(
        windowed_network(seed, lookahead=lookahead),
        normalized=normalized,
        uv_per_lsb=uv_per_lsb,
        lookahead=lookahead,
    )
    assert_equal_to_numpy(network, random_call(seed, cut(network, chunk)))


@settings(max_examples=10, deadline=None)
@given(seed=seeds, cuts=st.lists(st.integers(1, 11), max_size=4, unique=True))
def test_chunk_sizes_change_nothing(seed: int, cuts: list[int]) -> None:
    network = small_network(seed, stride=2, offsets=(-1, 0, 1))
    chunk = Chunk(network)
    frames = torch.from_numpy(random_frames(seed, 24))
    zeros = [torch.zeros(tensor.shape) for tensor in spec.state_of(network)]
    with torch.no_grad():
        whole = chunk(frames, *zeros)
        held, parts = zeros, []
        for part in torch.tensor_split(frames, [2 * at for at in sorted(cuts)]):
            log_probs, *held = chunk(part, *held)
            parts.append(log_probs)
    torch.testing.assert_close(torch.cat(parts), whole[0], atol=1e-5, rtol=0)
    for found, expected in zip(held, whole[1:], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
