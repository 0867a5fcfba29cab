"""What a recurrence and a quantization cost on ExecuTorch: the figures of docs/decisions/0006.

    python benchmarks/executorch_recurrences.py

CPU milliseconds of this process, medians, one thread; only figures of one run compare.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from edge.runtimes.quiet import quiet_loading
from export.executorch import lower
from export.executorch.loops import Loop, delegate_of, insert
from export.executorch.lower import _edge, _unverified, example_inputs
from export.executorch.modules import Chunk
from export.executorch.quiet import quiet_libraries
from export.executorch.recurrent import Cell
from personalize import spec
from personalize.forms import form_of
from personalize.networks import build

HIDDEN, DIRECTIONS, STEPS = 128, 2, 125  # a layer of spatial_lstm over a second


def cpu_ms(call: Callable[[], object], repeats: int = 21) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


class Loaded:
    """A program in the public runtime, which reads from the bytes for as long as it lives."""

    def __init__(self, program: bytes) -> None:
        self.program = program
        with quiet_loading():
            from executorch.runtime import Runtime

            self.method = Runtime.get().load_program(program).load_method("forward")

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = list(self.method.execute(inputs))
        return outputs


def bytes_of(program: Any) -> bytes:  # noqa: ANN401
    from executorch.exir import EdgeProgramManager

    return bytes(EdgeProgramManager(program, compile_config=_unverified()).to_executorch().buffer)


class Portable(nn.Module):
    """The cell in the scan's body, where ExecuTorch leaves it to portable kernels."""

    def __init__(self, cell: Cell, *, batched: bool) -> None:
        super().__init__()
        self.weights, self.batched = nn.Parameter(torch.stack(list(cell.recurrent))), batched  # (N, 4H, H)
        self.columns = nn.Parameter(self.weights.detach().transpose(1, 2).contiguous())

    def products(self, h: Tensor) -> Tensor:
        if self.batched:
            return torch.bmm(h[:, None], self.columns)[:, 0]
        return torch.cat([F.linear(h[n : n + 1], self.weights[n]) for n in range(DIRECTIONS)])

    def forward(self, gates: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        def step(carry: list[Tensor], gate: Tensor) -> tuple[list[Tensor], Tensor]:
            h, c = carry
            i, f, g, o = (gate + self.products(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            return [h, c], h.clone()

        (h, c), y = scan(step, [h, c], gates)
        return y, h, c


class Delegated(nn.Module):
    """The same through export.executorch.loops."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.loop = Loop(cell, carried=2)

    def forward(self, gates: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = [gates[:, n : n + 1] for n in range(DIRECTIONS)]
        (h, c), (y,) = self.loop([h, c], rows, STEPS)
        return y, h, c


def recurrences() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((4 * HIDDEN, HIDDEN)).astype(np.float32) / 11 for _ in range(DIRECTIONS)]
    none = np.zeros((4 * HIDDEN, 1), np.float32)
    cell = Cell([spec.LstmCell(none, weight, none[:, 0]) for weight in weights])
    held = torch.zeros(DIRECTIONS, HIDDEN)
    example = (torch.randn(STEPS, DIRECTIONS, 4 * HIDDEN), held, held.clone())
    expected = Portable(cell, batched=True)(*example)[0]
    programs = {}
    for name, batched in (("portable, bmm", True), ("portable, linear", False)):
        programs[name] = _edge(Portable(cell, batched=batched), example, int8=False).exported_program()
    for name, int8 in (("delegate, float32", False), ("delegate, dynamic int8", True)):
        delegated = Delegated(cell)
        delegate = delegate_of(_edge(cell, cell.example(), int8=int8).exported_program())
        delegated.loop.number = 0
        programs[name] = _edge(delegated, example, int8=False).exported_program()
        insert(programs[name].graph_module, [delegate])
    for name, program in programs.items():
        module = Loaded(bytes_of(program))
        error = float((module(*example)[0] - expected).abs().max())
        us = 1e3 * cpu_ms(lambda m=module: m(*example)) / STEPS
        print(f"a step, {name}: {us:.1f} us, max |error| of h {error:.1g}")


def precisions() -> None:
    """Dynamic int8 as it is made and static as it would be made, of an untrained streaming network."""
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    torch.manual_seed(0)
    network = build("streaming").eval().spec()
    form = form_of(network, chunk_frames=4, precision="int8_dynamic")
    example = example_inputs(form)
    frames = torch.randn(400, 2, 16, 33)

    def say(module: Callable[..., Any]) -> Tensor:
        state, rows = example[1:], []
        for chunk in frames.split(4):
            log_probs, *after = (out.clone() for out in module(chunk, *state))
            state = tuple(after)
            rows.append(log_probs)
        return torch.cat(rows)

    expected = say(Chunk(network))
    dynamic = lower(network, form).content
    module = Loaded(dynamic)
    said = say(module)
    ms = cpu_ms(lambda m=module: m(*example))
    print(
        f"dynamic int8: {len(dynamic)} bytes, {ms:.3f} ms, against float {(said - expected).abs().max():.2g}"
    )
    for what in ("linear maps", "everything"):
        config = xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True)
        quantizer = xnnpack_quantizer.XNNPACKQuantizer()
        if what == "linear maps":
            quantizer.set_operator_type(torch.ops.aten.linear.default, config)
        else:
            quantizer.set_global(config)
        exported = torch.export.export(Chunk(network).eval(), example).module(check_guards=False)
        prepared = prepare_pt2e(exported, quantizer)
        say(prepared)
        graph = convert_pt2e(prepared)
        program = bytes_of(_edge(graph, example, int8=False).exported_program())
        module = Loaded(program)
        said = say(module)
        ms = cpu_ms(lambda m=module: m(*example))
        departure, error = (float((said - other).abs().max()) for other in (say(graph), expected))
        print(
            f"static int8 of {what}: {len(program)} bytes, {ms:.3f} ms, "
            f"its own graph {departure:.2g}, float {error:.2g}"
        )


def weight_only() -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    torch.manual_seed(0)
    linear, x = nn.Sequential(nn.Linear(64, 64)).eval(), torch.randn(8, 64)
    expected = linear(x)
    quantize_(linear, Int8WeightOnlyConfig())
    said = Loaded(bytes_of(_edge(linear, (x,), int8=False).exported_program()))(x)[0]
    error = float((said - expected).abs().max())
    print(f"torchao's weight-only int8 of one linear map: max |error| {error:.3g}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad(), quiet_libraries():
        import executorch.kernels.quantized  # noqa: F401  (out-variants of the quantizing operators)
        from executorch.extension.pybindings import portable_lib

        portable_lib._unsafe_reset_threadpool(1)  # noqa: SLF001  (the only way to set it)

        recurrences()
        precisions()
        weight_only()
