"""Programs: the stock ExecuTorch runtime equals the network, and quantizing is proved to have happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from edge.errors import BadInput
from edge.manifest import Form, Precision
from edge.runtimes import open_preferred
from edge.runtimes.executorch import ExecuTorchRuntime
from edge.runtimes.quiet import quiet_loading
from edge.samples import Float32
from export.executorch import lower
from export.executorch.contents import contents_of
from export.executorch.modules import Chunk, stage_of
from export.executorch.quantize import with_int8_weights
from export.executorch.quiet import quiet_libraries
from export.parity import ParityReport
from personalize import spec, spec_numpy
from personalize.model import load_model
from personalize.networks import build, streamed
from personalize.reference import TorchRuntime
from tests.export.executorch_toys import Call, cut, random_call, windowed_network, with_front
from tests.export.toys import form, random_array, random_frames, small_network

CLOSE = 1e-4
INT8_CLOSE = 0.3  # of log p: random layers measure 0.02 to 0.12, a wrong scale units


def run_stock(program: bytes, *calls: tuple[npt.NDArray[np.generic], ...]) -> list[list[Float32]]:
    """What a device developer would write: the public API alone."""
    with quiet_loading():
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(program).load_method("forward")
    return [
        [out.numpy().copy() for out in method.execute([torch.from_numpy(array) for array in call])]
        for call in calls
    ]


def expected_of(network: spec.NetworkSpec, call: Call) -> list[Float32]:
    values = np.asarray(call.x, np.float32)
    log_probs, after = spec_numpy.step(network, values, call.state, call.valid)
    return [log_probs, *after]


class Lowered:
    """A network, its form and its program."""

    def __init__(self, network: spec.NetworkSpec, chunk: int, precision: Precision = "float32") -> None:
        self.network, self.form = network, cut(network, chunk, precision)
        self.program = lower(network, self.form).content

    def departures(self, seed: int) -> list[float]:
        """max |difference| of each output in one call."""
        call = random_call(seed, self.form)
        found = run_stock(self.program, call.inputs)[0]
        expected = expected_of(self.network, call)
        return [float(np.abs(a - b).max(initial=0)) for a, b in zip(found, expected, strict=True)]


@pytest.fixture(scope="module")
def raw() -> Lowered:
    """From int16 samples through a latency-controlled network."""
    network = windowed_network(0, lookahead=2, depth=1)
    return Lowered(with_front(network, normalized=True, uv_per_lsb=0.2, lookahead=2), 4)


@pytest.fixture(scope="module")
def int8() -> Lowered:
    """A streaming network in dynamic int8 behind its front end."""
    return Lowered(with_front(small_network(3, stride=1, hidden=8), normalized=False), 4, "int8_dynamic")


@pytest.mark.slow
def test_a_program_equals_the_network_from_raw_samples_on(raw: Lowered) -> None:
    assert max(raw.departures(1)) < CLOSE
    assert max(raw.departures(2)) < CLOSE


def test_dynamic_int8_comes_near_the_network_and_is_not_it(int8: Lowered) -> None:
    log_probs, *_ = int8.departures(1)
    assert CLOSE < log_probs < INT8_CLOSE


def test_every_matrix_product_was_quantized(int8: Lowered) -> None:
    contents = contents_of(int8.program)
    # two wrists, the convolution, the LSTM's input and recurrence, the residual block's two, the head
    assert contents.quantized_weights == 8
    assert not [name for name in contents.operators if "quantize" in name], "needs kernels that phones lack"


@pytest.mark.slow
def test_all_matrix_products_and_cells_are_xnnpacks(raw: Lowered, int8: Lowered) -> None:
    for lowered in (raw, int8):
        contents = contents_of(lowered.program)
        assert set(contents.delegates) == {"XnnpackBackend"}
        product = ("linear", "addmm", "mm", "bmm", "convolution", "sigmoid", "tanh")
        assert not [name for name in contents.operators if name.split("::")[1].split(".")[0] in product]


def test_small_weights_keep_their_bits() -> None:
    rng = np.random.default_rng(0)
    small = np.float32(1e-3) * random_array(rng, 8, 16)
    linear = spec.Linear(small, np.zeros(8, np.float32))
    body = stage_of(linear)
    x = torch.from_numpy(random_array(rng, 4, 16))
    with torch.no_grad(), quiet_libraries():
        rounded = with_int8_weights(torch.export.export(body, (x, ())), (x, ()))
        error = (rounded(x, ())[0].numpy() - x.numpy() @ small.T) / np.abs(small).max()
    assert 0 < np.abs(error).max() < 0.1  # 8 bits of each factor; with XNNPACK's least scale, 0.5


def test_the_front_end_stays_in_float(int8: Lowered) -> None:
    _, filtered, past, *_ = int8.departures(4)
    assert filtered < CLOSE < past


def test_stock_runtime_streams_what_the_network_says_at_once(streaming_folder: Path) -> None:
    network, manifest = load_model(streaming_folder)
    frames = random_frames(8, 25 * manifest.form.chunk_frames)
    runtime = open_preferred(streaming_folder, manifest, "executorch")
    state, parts = runtime.initial_state(), []
    for chunk in np.split(frames, 25):
        log_probs, state = runtime.run(chunk, state)
        parts.append(log_probs)
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


def test_weights_are_stored_once(streaming_folder: Path) -> None:
    content = (streaming_folder / "model.pte").read_bytes()
    network, _ = load_model(streaming_folder)
    weights = sum(parameter.nbytes for parameter in Chunk(network.spec()).parameters())
    assert weights < len(content) < 1.02 * weights
    assert contents_of(content).quantized_weights == 0


def test_what_does_not_fit_is_refused() -> None:
    network = small_network(0)
    with pytest.raises(BadInput, match="chunks of 5 frames"):
        lower(network, form(network, 5))


def test_static_int8_is_refused_with_the_reason() -> None:
    network = small_network(0)
    with pytest.raises(BadInput, match=r"int8_static.*choose int8_dynamic"):
        lower(network, cut(network, 4, "int8_static"))


MEGABYTE = 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "chunk", "lookahead", "products", "size"),
    [
        ("streaming", 4, None, 6 + 1, 1.2 * MEGABYTE),
        ("spatial_lstm", 25, 25, 2 + 4 * 4 + 3, 3.1 * MEGABYTE),
        ("tds", 4, 0, 2 + 4 * 2 + 1, 5.7 * MEGABYTE),
    ],
)
def test_real_networks_in_dynamic_int8_keep_their_size(
    name: str, chunk: int, lookahead: int | None, products: int, size: float
) -> None:
    torch.manual_seed(0)
    network = build(name).eval()
    network = network if lookahead is None else streamed(network, lookahead)
    lowered = Lowered(network.spec(), chunk, "int8_dynamic")
    assert len(lowered.program) < size
    assert contents_of(lowered.program).quantized_weights == products
    assert CLOSE < lowered.departures(1)[0] < INT8_CLOSE


@pytest.mark.slow
def test_dynamic_int8_says_the_same_in_chunks_of_any_length() -> None:
    network = small_network(3, hidden=8)
    frames = random_frames(5, 16)
    said = []
    for chunk in (2, 8):
        lowered = Lowered(network, chunk, "int8_dynamic")
        runtime = ExecuTorchRuntime(lowered.program, lowered.form)
        state, parts = runtime.initial_state(), []
        for part in np.split(frames, 16 // chunk):
            log_probs, state = runtime.run(part, state)
            parts.append(log_probs)
        said.append(np.concatenate(parts))
    np.testing.assert_array_equal(said[0], said[1])


@pytest.mark.slow
def test_a_whole_window_agrees(whole_window_program: Path) -> None:
    report = ParityReport.model_validate_json((whole_window_program / "parity.json").read_text())
    assert report.failures() == ()
    assert [parity.runtime for parity in report.runtimes] == ["ExecuTorch"]


@pytest.mark.slow
def test_a_latency_controlled_stream_equals_its_torch_twin() -> None:
    torch.manual_seed(1)
    trained = build("spatial_lstm").eval()
    network = streamed(trained, 10).spec()
    cut_so: Form = cut(network, 15)
    runtime = ExecuTorchRuntime(lower(network, cut_so).content, cut_so)
    reference = TorchRuntime(trained, cut_so)
    frames = random_frames(2, 5 * 15 + 10)
    state, expected_state = runtime.initial_state(), reference.initial_state()
    for start in range(0, 75, 15):
        chunk = frames[start : start + 25]
        found, state = runtime.run(chunk, state)
        expected, expected_state = reference.run(chunk, expected_state)
        np.testing.assert_allclose(found, expected, atol=CLOSE)
        for array, other in zip(state, expected_state, strict=True):
            np.testing.assert_allclose(array, other, atol=CLOSE)
