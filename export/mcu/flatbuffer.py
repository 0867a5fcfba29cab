"""What a .tflite file asks of firmware: its operators, and the tensors that go in and come out."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from edge.errors import BadInput
from export.tflite.graph import schema

_NAMES: Final[dict[int, str]] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_TYPES: Final[dict[int, str]] = {
    schema.TensorType.FLOAT32: "float",
    schema.TensorType.INT8: "int8_t",
    schema.TensorType.INT16: "int16_t",
}

# The schema's names as the methods of TFLite Micro's MicroMutableOpResolver, for what our writer emits.
_METHODS: Final = {
    "ADD": "AddAdd",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "DEQUANTIZE": "AddDequantize",
    "DIV": "AddDiv",
    "FULLY_CONNECTED": "AddFullyConnected",
    "LOG": "AddLog",
    "LOGISTIC": "AddLogistic",
    "LOG_SOFTMAX": "AddLogSoftmax",
    "MAXIMUM": "AddMaximum",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "MUL": "AddMul",
    "QUANTIZE": "AddQuantize",
    "RESHAPE": "AddReshape",
    "RSQRT": "AddRsqrt",
    "SLICE": "AddSlice",
    "SPLIT": "AddSplit",
    "SUB": "AddSub",
    "SUM": "AddSum",
    "TANH": "AddTanh",
    "TRANSPOSE": "AddTranspose",
}


class TensorInfo(NamedTuple):
    """An input or output: float32 ones have a scale of 0."""

    name: str
    c_type: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class FileInfo(NamedTuple):
    """The file's inputs and outputs in order, and its operators by name, each once."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[str, ...]

    @property
    def resolver_methods(self) -> tuple[str, ...]:
        """What to call on a MicroMutableOpResolver. Raises BadInput for operators that it may not have."""
        unknown = [name for name in self.operators if name not in _METHODS]
        if unknown:
            raise BadInput(
                f"the .tflite uses {', '.join(unknown)}, for which no firmware is generated; "
                "export a network that carries its state"
            )
        return tuple(_METHODS[name] for name in self.operators)


def read_file(content: bytes) -> FileInfo:
    """Read a .tflite file that our writer made. Raises BadInput for tensors of another type."""
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i).BuiltinCode() for i in range(model.OperatorCodesLength())]
    return FileInfo(
        tuple(_tensor(graph.Tensors(graph.Inputs(i))) for i in range(graph.InputsLength())),
        tuple(_tensor(graph.Tensors(graph.Outputs(i))) for i in range(graph.OutputsLength())),
        tuple(sorted({_NAMES[code] for code in codes})),
    )


def _tensor(tensor: Any) -> TensorInfo:  # noqa: ANN401  (the schema is untyped)
    name, kind = tensor.Name().decode(), tensor.Type()
    if kind not in _TYPES:
        raise BadInput(f"the .tflite's {name} has a type that firmware is not generated for; export again")
    quantization = tensor.Quantization()
    scaled = quantization is not None and quantization.ScaleLength() > 0
    return TensorInfo(
        name,
        _TYPES[kind],
        tuple(tensor.ShapeAsNumpy().tolist()),
        float(quantization.Scale(0)) if scaled else 0.0,
        int(quantization.ZeroPoint(0)) if scaled else 0,
    )
