"""The TFLite writer: LiteRT computes what torch computes, weights are stored once, bytes are aligned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.manifest import Form, TensorSpec
from edge.runtimes.litert import LiteRtRuntime
from edge.samples import Float32
from export.executorch.modules import Chunk
from export.tflite import lower, ops
from export.tflite.graph import ALIGNMENT, Graph, Kind
from personalize import spec
from personalize.model import load_model
from personalize.networks import build
from tests.export.toys import (
    form,
    random_band,
    random_cell,
    random_frames,
    small_network,
)

CLOSE = (
    2e-4  # float32 sums in another order, amplified by norms; a wrong lowering is off by a hundred times more
)


def run_once(content: bytes, frames: Float32) -> Float32:
    whole = Form(chunk_frames=len(frames), whole_window=True)
    log_probs, _ = LiteRtRuntime(content, whole).run(frames, ())
    return log_probs


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    stride=st.integers(1, 3),
    strides=st.integers(1, 5),
    offsets=st.lists(st.integers(-17, 17), min_size=1, max_size=3).map(tuple),
    kernel=st.integers(2, 6),
)
def test_a_stream_of_chunks_equals_torch(
    seed: int, stride: int, strides: int, offsets: tuple[int, ...], kernel: int
) -> None:
    network = small_network(seed, stride=stride, offsets=offsets, kernel=kernel)
    cut = form(network, stride * strides)
    runtime = LiteRtRuntime(lower(network, cut).content, cut)
    chunk = Chunk(network)
    held = runtime.initial_state()
    expected_state = [torch.zeros(tensor.shape) for tensor in cut.state]
    for part in np.split(random_frames(seed, 3 * cut.chunk_frames), 3):
        log_probs, held = runtime.run(part, held)
        with torch.no_grad():
            expected, *expected_state = chunk(torch.from_numpy(part), *expected_state)
        np.testing.assert_allclose(log_probs, expected.numpy(), atol=CLOSE)
        for found, wanted in zip(held, expected_state, strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=CLOSE)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), time=st.integers(1, 20), hidden=st.integers(1, 6))
def test_the_fused_lstm_equals_torchs_own(seed: int, time: int, hidden: int) -> None:
    rng = np.random.default_rng(seed)
    layer = spec.BiLstm(random_cell(rng, 6, hidden), random_cell(rng, 6, hidden))
    band = random_band(rng, 3, (0,))
    network = spec.NetworkSpec("bi", (band, layer), 1)
    lstm = torch.nn.LSTM(6, hidden, bidirectional=True)
    weights = {}
    for suffix, cell in (("l0", layer.forward), ("l0_reverse", layer.backward)):
        weights[f"weight_ih_{suffix}"] = torch.from_numpy(cell.input)
        weights[f"weight_hh_{suffix}"] = torch.from_numpy(cell.recurrent)
        weights[f"bias_ih_{suffix}"] = torch.from_numpy(cell.bias)
        weights[f"bias_hh_{suffix}"] = torch.zeros(4 * hidden)
    lstm.load_state_dict(weights)
    frames = random_frames(seed, time)
    with torch.no_grad():
        features = Chunk(spec.NetworkSpec("front", (band,), 1))(torch.from_numpy(frames))[0]
        expected = lstm(features)[0].numpy()
    np.testing.assert_allclose(
        run_once(lower(network, form(network, time)).content, frames), expected, atol=CLOSE
    )


@settings(max_examples=30, deadline=None)
@given(offset=st.integers(-40, 40), size=st.integers(1, 16))
def test_roll_is_numpys(offset: int, size: int) -> None:
    graph = Graph("roll")
    x = graph.input("x", Kind((1, size)))
    graph.output("y", ops.add(graph, ops.roll(graph, x, 1, offset), ops.number(graph, 0.0)))
    interpreter = Interpreter(model_content=graph.serialize())
    interpreter.allocate_tensors()
    row = np.arange(size, dtype=np.float32)[None]
    rolled = interpreter.get_signature_runner()(x=row)["y"]
    np.testing.assert_array_equal(rolled, np.roll(row, offset, 1))


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


def test_steps_share_their_weights() -> None:
    network = build("streaming").spec()
    weights = sum(array.nbytes for array in arrays(network))
    two, forty = (len(lower(network, form(network, frames)).content) for frames in (4, 80))
    assert two < 1.02 * weights
    assert forty - two < 38 * 4096  # operators and tensors of 38 more steps; one step's weights are 147,456


def arrays(value: object) -> list[Float32]:
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays(part)] if isinstance(value, tuple) else []


def test_equal_constants_are_one() -> None:
    graph = Graph("constants")
    same = [graph.constant(np.arange(3, dtype=np.float32)) for _ in range(2)]
    other = graph.constant(np.arange(3, dtype=np.int32))
    shaped = graph.constant(np.arange(3, dtype=np.float32)[None])
    assert same[0] == same[1]
    assert len({same[0].index, other.index, shaped.index}) == 3


def test_every_constant_is_aligned() -> None:
    network = small_network(1)
    content = lower(network, form(network, 4)).content
    model = schema.Model.GetRootAs(content, 0)
    offsets = [data_offset(model.Buffers(i)) for i in range(model.BuffersLength())]
    filled = [offset for offset in offsets if offset is not None]
    assert len(filled) > 10
    assert [offset % ALIGNMENT for offset in filled] == [0] * len(filled)


def data_offset(buffer: Any) -> int | None:
    field = buffer._tab.Offset(4)
    return int(buffer._tab.Vector(field)) if field and buffer.DataLength() else None


def test_lowering_is_deterministic() -> None:
    network = small_network(5)
    assert lower(network, form(network, 6)).content == lower(network, form(network, 6)).content


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


def test_stock_interpreter_runs_the_file(streaming_folder: Path) -> None:
    network, manifest = load_model(streaming_folder)
    interpreter = Interpreter(model_path=str(streaming_folder / "model.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner("serving_default")
    frames = random_frames(8, 12 * manifest.form.chunk_frames)
    held = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in manifest.form.state}
    parts = []
    for chunk in np.split(frames, 12):
        outputs = run(frames=chunk, **held)
        parts.append(outputs["log_probs"])
        held = {name: outputs[f"next_{name}"] for name in held}
    np.testing.assert_allclose(np.concatenate(parts), whole(network, frames), atol=1e-4)


def test_compiled_model_runs_the_file(streaming_folder: Path) -> None:
    network, manifest = load_model(streaming_folder)
    model = CompiledModel.from_file(str(streaming_folder / "model.tflite"))
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    frames = random_frames(8, 3 * manifest.form.chunk_frames)
    emissions = manifest.form.chunk_frames // manifest.stride
    held = [np.zeros(tensor.shape, np.float32) for tensor in manifest.form.state]
    parts = []
    for chunk in np.split(frames, 3):
        for buffer, array in zip(inputs, [chunk, *held], strict=True):
            buffer.write(np.ascontiguousarray(array).reshape(-1))
        model.run_by_index(0, inputs, outputs)
        size = emissions * len(manifest.charset) + emissions
        parts.append(outputs[0].read(size, np.float32).reshape(emissions, -1))
        held = [
            buffer.read(array.size, np.float32).reshape(array.shape)
            for buffer, array in zip(outputs[1:], held, strict=True)
        ]
    np.testing.assert_allclose(np.concatenate(parts), whole(network, frames), atol=1e-4)


def test_a_whole_window_is_one_fused_operator_a_layer(whole_window_folder: Path) -> None:
    network, manifest = load_model(whole_window_folder)
    content = (whole_window_folder / "model.tflite").read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    fused = codes.index(schema.BuiltinOperator.BIDIRECTIONAL_SEQUENCE_LSTM)
    graph = model.Subgraphs(0)
    operators = [graph.Operators(i).OpcodeIndex() for i in range(graph.OperatorsLength())]
    assert operators.count(fused) == 4
    assert len(content) < 1.01 * sum(array.nbytes for array in arrays(network.spec()))
    assert manifest.form.state == ()


def whole(network: Any, frames: Float32) -> Float32:
    with torch.no_grad():
        log_probs: torch.Tensor = network(torch.from_numpy(frames)[None], network.initial_state(1))[0][0]
    return log_probs.numpy()
