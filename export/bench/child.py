"""`python -m export.bench.child`: what loading the network takes in torch, or in ONNX Runtime, and holds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge.extras import require
from edge.manifest import Form
from edge.runtimes import Runtime
from edge.runtimes.worker import peak_bytes
from export.bench.examples import example


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Order(_Record):
    """What to load; on standard input."""

    path: str  # an .onnx file, or a model's or bundle's folder for torch
    form: Form


class Load(_Record):
    """What it took; the last line of standard output."""

    load_s: float
    idle_bytes: int  # most memory before it was loaded, with the library imported
    peak_bytes: int  # most memory once it had run


def load(order: Order) -> Load:
    """Load, run once, and measure both."""
    path = Path(order.path)
    opening = _torch(path, order.form) if path.is_dir() else _onnx(path, order.form)
    idle, began = peak_bytes(), time.perf_counter()
    runtime = opening()
    load_s = time.perf_counter() - began
    runtime.run(example(order.form), runtime.initial_state())
    return Load(load_s=load_s, idle_bytes=idle, peak_bytes=peak_bytes())


def _torch(folder: Path, form: Form) -> Callable[[], Runtime]:
    import torch

    from export.bench.contenders import network_of
    from personalize.reference import TorchRuntime

    torch.set_num_threads(1)
    return lambda: TorchRuntime(network_of(folder), form)


def _onnx(path: Path, form: Form) -> Callable[[], Runtime]:
    require("onnxruntime", "parity")
    from export.onnx import OnnxRuntime

    content = path.read_bytes()
    return lambda: OnnxRuntime(content, form)


def main() -> None:
    """Read an Order, write a Load."""
    order = Order.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.write(load(order).model_dump_json() + "\n")


if __name__ == "__main__":
    main()
