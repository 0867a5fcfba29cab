"""An ONNX graph under construction: nodes with static shapes, constants stored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.extras import require

OPSET: Final = 17  # the first with LayerNormalization; newer ones bring nothing that is used here
IR_VERSION: Final = 8  # what opset 17 came with

Array = npt.NDArray[np.float32 | np.int64]


class Value(NamedTuple):
    """A tensor of the graph: its name and static shape."""

    name: str
    shape: tuple[int, ...]


class Graph:
    """One graph of float32 tensors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._onnx: Any = require("onnx", "parity")
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[Any] = []

    def input(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike = np.float32) -> Value:
        """A named input."""
        self._inputs.append(self._info(name, shape, dtype))
        return Value(name, tuple(shape))

    def output(self, name: str, value: Value) -> None:
        """Give `value` under a name of the signature."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(self._info(name, value.shape, np.float32))

    def constant(self, array: Array) -> Value:
        """A tensor with fixed content; equal content is stored once."""
        key = array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._initializers.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
            self._constants[key] = name
        return Value(self._constants[key], array.shape)

    def node(
        self, operator: str, inputs: Sequence[Value | None], shape: Sequence[int], **attributes: object
    ) -> Value:
        """Append an operator with one output of `shape`; None is an optional input left out."""
        return self.nodes(operator, inputs, [shape], **attributes)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[Value | None],
        shapes: Sequence[Sequence[int]],
        **attributes: object,
    ) -> list[Value]:
        """The same for an operator of several outputs."""
        outputs = [
            Value(f"{operator.lower()}_{len(self._nodes)}_{i}", tuple(map(int, shape)))
            for i, shape in enumerate(shapes)
        ]
        names = ["" if value is None else value.name for value in inputs]
        self._nodes.append(
            self._onnx.helper.make_node(operator, names, [output.name for output in outputs], **attributes)
        )
        return outputs

    def serialize(self) -> bytes:
        """The bytes of the .onnx file, once the checker of onnx has found nothing."""
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._initializers)
        model = helper.make_model(
            graph,
            producer_name="qwrist",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_operatorsetid("", OPSET)],
        )
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _info(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike) -> Any:  # noqa: ANN401  (protobuf)
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, list(map(int, shape)))
