"""Bundled programs: their golden calls pass as they are, and fail where one was altered."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BadInput
from edge.runtimes.executorch import ExecuTorchRuntime
from export.executorch import lower
from export.executorch.bundled import Call, bundle, departing_calls
from personalize import spec, spec_numpy
from tests.export.executorch_toys import cut, random_call
from tests.export.toys import random_band, random_cell

ATOL = 1e-4


def network() -> spec.NetworkSpec:
    rng = np.random.default_rng(2)
    layers = (random_band(rng, 2, (0,)), spec.SkipLstm(random_cell(rng, 4, 3)), spec.LogSoftmax())
    return spec.NetworkSpec("tiny", layers, 1)


FORM = cut(network(), 3)


@pytest.fixture(scope="module")
def program() -> bytes:
    return lower(network(), FORM).content


@pytest.fixture
def calls() -> list[Call]:
    """Two chunks as the network itself answers them."""
    found = []
    for seed in (1, 2):
        call = random_call(seed, FORM)
        log_probs, after = spec_numpy.step(network(), np.asarray(call.x, np.float32), call.state)
        found.append(Call(call.inputs, (log_probs, *after)))
    return found


def test_golden_calls_pass(program: bytes, calls: list[Call]) -> None:
    assert departing_calls(bundle(program, calls), len(calls), ATOL) == ()


@pytest.mark.parametrize("output", [0, 1, 2])
def test_an_altered_output_fails(program: bytes, calls: list[Call], output: int) -> None:
    calls[1].outputs[output].flat[0] += 10 * ATOL
    assert departing_calls(bundle(program, calls), len(calls), ATOL) == (1,)


def test_an_altered_input_fails(program: bytes, calls: list[Call]) -> None:
    calls[0].inputs[0].flat[0] += 10
    assert departing_calls(bundle(program, calls), len(calls), ATOL) == (0,)


def test_the_program_inside_is_the_program(program: bytes, calls: list[Call]) -> None:
    bundled = bundle(program, calls)
    start = bundled.index(b"ET12") - 4
    inside = ExecuTorchRuntime(bundled[start : start + len(program)], FORM)
    frames, *state = calls[0].inputs
    expected, _ = ExecuTorchRuntime(program, FORM).run(frames, tuple(state))
    np.testing.assert_array_equal(inside.run(frames, tuple(state))[0], expected)


def test_nothing_to_replay_is_refused(program: bytes) -> None:
    with pytest.raises(BadInput, match="at least one"):
        bundle(program, [])


def test_what_is_no_bundled_program_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no \.bpte file"):
        departing_calls(b"nothing of the kind" * 10, 1, ATOL)
