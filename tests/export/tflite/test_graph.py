"""The FlatBuffer itself: what is stored once, where constants lie, that bytes repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from export.tflite import lower, ops
from export.tflite.graph import ALIGNMENT, Graph, Kind, Quantization
from personalize.networks import build
from tests.export.tflite.streams import arrays
from tests.export.toys import form, small_network


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


def test_equal_constants_are_one() -> None:
    graph = Graph("constants")
    numbers = np.arange(3, dtype=np.int8)
    same = [graph.constant(numbers, Quantization((0.5,))) for _ in range(2)]
    others = [
        graph.constant(numbers, Quantization((0.25,))),
        graph.constant(numbers, Quantization((0.5,), 1)),
        graph.constant(numbers[None], Quantization((0.5,))),
        graph.constant(numbers),
        graph.constant(numbers.astype(np.int32)),
    ]
    assert same[0] == same[1]
    assert len({tensor.index for tensor in [*same, *others]}) == 1 + len(others)


def test_settings_that_differ_stay_apart() -> None:
    graph = Graph("scales")
    scales = [(*[0.1] * 1000, middle, *[0.1] * 999) for middle in (0.2, 0.3)]
    numbers = np.zeros((2000, 1), np.int8)
    for scale in scales:
        graph.constant(numbers, Quantization(scale))
    model = schema.ModelT.InitFromPackedBuf(graph.serialize(), 0)
    found = [tensor.quantization.scale for tensor in model.subgraphs[0].tensors]
    for scale, wanted in zip(found, scales, strict=True):
        np.testing.assert_array_equal(scale, np.array(wanted, np.float32))


def test_steps_share_their_weights() -> None:
    network = build("streaming").spec()
    weights = sum(array.nbytes for array in arrays(network))
    two, forty = (len(lower(network, form(network, frames)).content) for frames in (4, 80))
    assert two < 1.02 * weights
    assert forty - two < 38 * 1024  # operators and tensors of 38 more steps; one step's weights are 147,456


def test_every_constant_is_aligned() -> None:
    network = small_network(1)
    content = lower(network, form(network, 4)).content
    model = schema.Model.GetRootAs(content, 0)
    offsets = [_data_offset(model.Buffers(i)) for i in range(model.BuffersLength())]
    filled = [offset for offset in offsets if offset is not None]
    assert len(filled) > 10
    assert [offset % ALIGNMENT for offset in filled] == [0] * len(filled)


def _data_offset(buffer: Any) -> int | None:
    field = buffer._tab.Offset(4)
    return int(buffer._tab.Vector(field)) if field and buffer.DataLength() else None


def test_lowering_is_deterministic() -> None:
    network = small_network(5)
    assert lower(network, form(network, 6)).content == lower(network, form(network, 6)).content
