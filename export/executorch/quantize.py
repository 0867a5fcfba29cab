"""Dynamic int8 for ExecuTorch: weights stored in int8, activations rounded as they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from edge.extras import require

_SMALLEST_SCALE: Final = 2.0**-30  # XNNPACK needs a normal float; a row of zeros still gets a scale


def with_int8_weights(
    exported: torch.export.ExportedProgram, example: tuple[Tensor, ...]
) -> torch.fx.GraphModule:
    """Every linear map of the program in dynamic int8: weights per output row, activations per call."""
    pt2e = require("torchao.quantization.pt2e.quantize_pt2e", "executorch")
    quantizers = require("executorch.backends.xnnpack.quantizer.xnnpack_quantizer", "executorch")
    # The out-variants of the quantising operators, which the program manager looks up.
    require("executorch.kernels.quantized", "executorch")
    quantizer = quantizers.XNNPACKQuantizer().set_operator_type(torch.ops.aten.linear.default, _config())
    prepared: Any = pt2e.prepare_pt2e(exported.module(check_guards=False), quantizer)
    prepared(*example)  # shows the observers the weights
    converted: torch.fx.GraphModule = pt2e.convert_pt2e(prepared)
    return converted


def _config() -> Any:  # noqa: ANN401  (untyped)
    """XNNPACK's own, but for its smallest scale of 2^-12, which costs weights below 0.03 their bits."""
    quantizers = require("executorch.backends.xnnpack.quantizer.xnnpack_quantizer", "executorch")
    observers = require("torchao.quantization.pt2e", "executorch")
    config = quantizers.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    observer = observers.PerChannelMinMaxObserver.with_args(eps=_SMALLEST_SCALE)
    return replace(config, weight=replace(config.weight, observer_or_fake_quant_ctr=observer))
