"""A program for Arm Cortex-M in static int8, emitted and not executed: no wheel holds the kernels it calls.

Its tools clash with those of the other environments, so it has one of its own (constraints/arm.txt):

    python -m export.executorch.cortex_m MODEL_FOLDER OUT_FOLDER

writes cortex_m.pte and cortex_m.json. A call takes one stride of frames and the state, as float32.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from edge.charset import CHARSET
from edge.errors import BadInput, QwristError
from edge.extras import require
from edge.files import write_atomically
from edge.samples import Float32
from edge.store import UserStore
from export.executorch.contents import contents_of
from export.executorch.lower import example_inputs
from export.executorch.modules import Chunk
from export.executorch.quiet import quiet_libraries
from personalize import spec
from personalize.calibration import calibration_windows
from personalize.forms import form_of
from personalize.model import load_model

PROGRAM, REPORT = "cortex_m.pte", "cortex_m.json"
CPU: Final = "cortex-m55"  # the CPU that the Cortex-M backend of ExecuTorch 1.4 names as tested
_FRAMES: Final = 500  # 4 s of each window: the widest ranges do not grow after

State = tuple[Tensor, ...]


class Emission(BaseModel):
    """cortex_m.json: what was emitted, and what its quantized graph says in torch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["emitted, not executed"] = "emitted, not executed"
    network: str
    cpu: str = CPU
    bytes: int
    arena_bytes: int
    operators: tuple[str, ...]
    float_operators: tuple[str, ...]  # those that stay on portable float kernels
    calibration_frames: int
    max_delta_in_torch: float  # |delta log p| of the quantized graph, run by torch on the calibration's end
    spoken_agreement_in_torch: float | None  # share of its emissions that are not blank on either side


class Quantized(NamedTuple):
    """A calibrated graph, and how it departs from the float network: both run by torch."""

    graph: torch.fx.GraphModule
    example: tuple[Tensor, ...]
    max_delta: float
    agreement: float | None


def emit(network: spec.NetworkSpec, calibration: Sequence[Float32]) -> tuple[bytes, Emission]:
    """The program of a causal network and what is known of it; `calibration` are (T, W, E, F) of its user."""
    if any(isinstance(layer, spec.BiLstm) for layer in network.layers):
        raise BadInput(
            f"{network.name} reads ahead and cannot run one stride at a time; choose streaming or micro"
        )
    if not calibration:
        raise BadInput("static int8 is calibrated on the user's recordings, and there are none; record some")
    require("tosa_serializer", "arm")  # the backend's modules import it, for other targets too
    with torch.no_grad(), quiet_libraries():
        quantized = _quantized(network, [window[:_FRAMES] for window in calibration])
        program = _program(quantized)
    contents = contents_of(program)
    return program, Emission(
        network=network.name,
        bytes=len(program),
        arena_bytes=contents.arena_bytes,
        operators=contents.operators,
        float_operators=tuple(name for name in contents.operators if name.startswith("aten::")),
        calibration_frames=sum(len(window[:_FRAMES]) for window in calibration),
        max_delta_in_torch=quantized.max_delta,
        spoken_agreement_in_torch=quantized.agreement,
    )


def _quantized(network: spec.NetworkSpec, windows: Sequence[Float32]) -> Quantized:
    pt2e = require("torchao.quantization.pt2e.quantize_pt2e", "arm")
    quantizer = require("executorch.backends.cortex_m.quantizer.quantizer", "arm").CortexMQuantizer()
    example = example_inputs(form_of(network, chunk_frames=network.stride))
    chunk = Chunk(network).eval()
    exported = torch.export.export(chunk, example).module(check_guards=False)
    prepared = pt2e.prepare_pt2e(exported, quantizer)
    for window in windows:
        _say(prepared, window, network.stride, example[1:])
    graph = pt2e.convert_pt2e(prepared)
    expected, found = (_say(module, windows[-1], network.stride, example[1:]) for module in (chunk, graph))
    spoken = (expected.argmax(-1) != CHARSET.blank) | (found.argmax(-1) != CHARSET.blank)
    same = expected.argmax(-1) == found.argmax(-1)
    agreement = float(same[spoken].mean()) if spoken.any() else None
    return Quantized(graph, example, float(np.abs(expected - found).max()), agreement)


def _say(module: torch.nn.Module, window: Float32, stride: int, state: State) -> Float32:
    """A recording through `module`, one stride at a time from the start: (T / stride, K)."""
    rows = []
    for start in range(0, len(window) - stride + 1, stride):
        log_probs, *after = module(torch.from_numpy(window[start : start + stride]), *state)
        state = tuple(after)
        rows.append(log_probs.numpy())
    return np.concatenate(rows)


def _program(quantized: Quantized) -> bytes:
    exir = require("executorch.exir", "arm")
    passes = require("executorch.backends.cortex_m.passes.cortex_m_pass_manager", "arm")
    config = exir.EdgeCompileConfig(preserve_ops=[torch.ops.aten.linear.default], _check_ir_validity=False)
    edge: Any = exir.to_edge(torch.export.export(quantized.graph, quantized.example), compile_config=config)
    lowered = passes.CortexMPassManager(edge.exported_program()).transform()  # for M55, its default
    return bytes(exir.EdgeProgramManager(lowered, compile_config=config).to_executorch().buffer)


def main(arguments: Sequence[str]) -> int:
    """The command: 0 where the program was written, 2 where it cannot be."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m export.executorch.cortex_m MODEL_FOLDER OUT_FOLDER\n")
        return 2
    folder, out = map(Path, arguments)
    try:
        network, manifest = load_model(folder)
        windows = calibration_windows(UserStore.default().user(manifest.user), folder)
        program, emission = emit(network.spec(), windows)
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / PROGRAM, program)
        write_atomically(out / REPORT, emission.model_dump_json(indent=1).encode())
    except QwristError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{out / PROGRAM}: {emission.bytes} bytes, {emission.status}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
