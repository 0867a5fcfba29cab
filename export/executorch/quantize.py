"""Dynamic int8 for ExecuTorch: weights stored in int8, activations rounded as they come."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edge.extras import require


def with_int8_weights(
    exported: torch.export.ExportedProgram, example: tuple[Tensor, ...]
) -> torch.fx.GraphModule:
    """Every linear map of the program in dynamic int8: weights per output row, activations per call."""
    pt2e = require("torchao.quantization.pt2e.quantize_pt2e", "executorch")
    quantizers = require("executorch.backends.xnnpack.quantizer.xnnpack_quantizer", "executorch")
    # The out-variants of the quantising operators, which the program manager looks up.
    require("executorch.kernels.quantized", "executorch")
    config = quantizers.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    quantizer = quantizers.XNNPACKQuantizer().set_operator_type(torch.ops.aten.linear.default, config)
    prepared: Any = pt2e.prepare_pt2e(exported.module(check_guards=False), quantizer)
    prepared(*example)  # shows the observers the weights
    converted: torch.fx.GraphModule = pt2e.convert_pt2e(prepared)
    return converted
