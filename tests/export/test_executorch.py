"""The ExecuTorch lowering: torch modules equal the network, and the stock runtime equals the modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edge.errors import BadInput
from edge.runtimes import open_preferred
from edge.runtimes.quiet import quiet_loading
from edge.samples import Float32
from export.executorch import lower
from export.executorch.modules import Chunk
from export.parity import ParityReport
from personalize.model import load_model
from personalize.reference import TorchRuntime
from tests.export.toys import form, random_frames, small_network, talkative

CLOSE = 1e-4


@pytest.mark.parametrize(("name", "frames"), [("streaming", 16), ("spatial_lstm", 12)])
def test_the_modules_equal_the_network(name: str, frames: int) -> None:
    network, manifest = talkative(name, frames)
    values = random_frames(1, frames)
    reference = TorchRuntime(network, manifest.form)
    expected, _ = reference.run(values, reference.initial_state())
    chunk = Chunk(network.spec())
    with torch.no_grad():
        log_probs, *_ = chunk(torch.from_numpy(values), *map(torch.zeros, chunk.state_shapes()))
    np.testing.assert_allclose(log_probs.numpy(), expected, atol=CLOSE)
    if manifest.form.state:
        assert chunk.state_shapes() == tuple(tensor.shape for tensor in manifest.form.state)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), cuts=st.lists(st.integers(1, 11), max_size=4, unique=True))
def test_chunk_sizes_change_nothing(seed: int, cuts: list[int]) -> None:
    network = small_network(seed, stride=2, offsets=(-1, 0, 1))
    chunk = Chunk(network)
    frames = torch.from_numpy(random_frames(seed, 24))
    zeros = [torch.zeros(tensor.shape) for tensor in form(network, 2).state]
    with torch.no_grad():
        whole = chunk(frames, *zeros)
        held: list[Tensor] = zeros
        parts = []
        for part in torch.tensor_split(frames, [2 * cut for cut in sorted(cuts)]):
            log_probs, *held = chunk(part, *held)
            parts.append(log_probs)
    torch.testing.assert_close(torch.cat(parts), whole[0], atol=1e-5, rtol=0)
    for found, expected in zip(held, whole[1:], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def run_stock(path: Path, chunks: list[Float32], state_shapes: list[tuple[int, ...]]) -> list[Float32]:
    """What a device developer would write: the public API alone."""
    with quiet_loading():
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(path).load_method("forward")
    held = [torch.zeros(shape) for shape in state_shapes]
    parts = []
    for chunk in chunks:
        log_probs, *held = [out.clone() for out in method.execute((torch.from_numpy(chunk), *held))]
        parts.append(log_probs.numpy())
    return parts


def test_stock_runtime_streams_what_the_network_says_at_once(streaming_folder: Path) -> None:
    network, manifest = load_model(streaming_folder)
    frames = random_frames(8, 25 * manifest.form.chunk_frames)
    shapes = [tensor.shape for tensor in manifest.form.state]
    parts = run_stock(streaming_folder / "model.pte", np.split(frames, 25), shapes)
    reference = TorchRuntime(network, manifest.form)
    expected, _ = reference.run(frames, reference.initial_state())
    assert len(set(expected.argmax(-1).tolist())) > 3
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=CLOSE)


def test_state_can_be_saved_and_restored(streaming_folder: Path) -> None:
    _, manifest = load_model(streaming_folder)
    runtime = open_preferred(streaming_folder, manifest, "executorch")
    first, second = np.split(random_frames(4, 2 * manifest.form.chunk_frames), 2)
    _, saved = runtime.run(first, runtime.initial_state())
    kept = [array.copy() for array in saved]
    expected, _ = runtime.run(second, saved)
    runtime.run(random_frames(5, manifest.form.chunk_frames), runtime.initial_state())
    for array, copy in zip(saved, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(runtime.run(second, saved)[0], expected)
    assert np.abs(runtime.run(second, runtime.initial_state())[0] - expected).max() > CLOSE


def test_weights_are_stored_once_and_multiplied_by_xnnpack(streaming_folder: Path) -> None:
    content = (streaming_folder / "model.pte").read_bytes()
    network, _ = load_model(streaming_folder)
    composed = Chunk(network.spec())
    weights = sum(parameter.nbytes for parameter in composed.parameters())
    assert weights < len(content) < 1.02 * weights
    assert b"XnnpackBackend" in content
    assert b"aten::linear" not in content
    assert b"aten::addmm" not in content
    assert b"aten::convolution" not in content


def test_what_does_not_fit_is_refused() -> None:
    network = small_network(0)
    with pytest.raises(BadInput, match="chunks of 5 frames"):
        lower(network, form(network, 5))


@pytest.mark.slow
def test_a_whole_window_agrees(whole_window_program: Path) -> None:
    report = ParityReport.model_validate_json((whole_window_program / "parity.json").read_text())
    assert report.failures() == ()
    assert [parity.runtime for parity in report.runtimes] == ["executorch"]
