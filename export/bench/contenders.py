"""Who runs against whom: each artifact, and for each way that they are cut torch and ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge.errors import QwristError
from edge.extras import require
from edge.manifest import Artifact, Form, Precision, read_manifest
from edge.runtimes import Runtime, open_runtime
from edge.runtimes.process import ProcessRuntime
from edge.runtimes.quiet import quiet_loading
from export import onnx
from export.bench.child import Load, Order
from export.bench.examples import example
from export.bench.report import ONNX, TORCH
from personalize import checkpoint
from personalize.forms import form_of
from personalize.model import load_model
from personalize.networks import Network, build, streamed
from personalize.reference import TorchRuntime

_CHILD_TIMEOUT_S: Final = 120.0  # importing torch took 26 s on a busy machine


class Contender(NamedTuple):
    """Something that runs the network, opened here, and what opening it elsewhere took."""

    name: str
    file: str | None
    precision: Precision
    runtime: Runtime
    bytes: int
    load: Load


def contenders(folder: Path, artifacts: Sequence[Artifact], network: Network) -> Iterator[Contender]:
    """The artifacts; then, once a cut, torch in float32 and ONNX Runtime in the precisions that they have."""
    for artifact in artifacts:
        yield _of_artifact(folder, artifact)
    for form, precisions in _cuts(artifacts):
        yield _torch(folder, network, _float_form(network, form))
        for precision in precisions:
            yield _onnx(network, _float_form(network, form), precision)


def network_of(folder: Path) -> Network:
    """The trained network, or in a bundle an untrained one: time does not depend on the weights."""
    if (folder / checkpoint.FILE_NAME).is_file():
        return load_model(folder)[0]
    return build(read_manifest(folder).network)


def _cuts(artifacts: Sequence[Artifact]) -> Iterator[tuple[Form, tuple[Precision, ...]]]:
    """Each chunk, lookahead and kind of window that occurs, and what ONNX Runtime is to run it in."""
    groups: dict[tuple[int, int, bool], list[Form]] = {}
    for form in (artifact.form for artifact in artifacts):
        groups.setdefault((form.chunk_frames, form.lookahead_frames, form.whole_window), []).append(form)
    for forms in groups.values():
        quantized = any(form.precision == "int8_dynamic" for form in forms)
        yield forms[0], ("float32", "int8_dynamic") if quantized else ("float32",)


def _float_form(network: Network, form: Form) -> Form:
    return form_of(
        _cut(network, form).spec(),
        chunk_frames=form.chunk_frames,
        whole_window=form.whole_window,
        lookahead_frames=form.lookahead_frames,
    )


def _cut(network: Network, form: Form) -> Network:
    return network if form.whole_window else streamed(network, form.lookahead_frames)


def _of_artifact(folder: Path, artifact: Artifact) -> Contender:
    with ProcessRuntime(folder, artifact) as child:
        child.run(example(artifact.form), child.initial_state())
        load = Load(load_s=child.load_s, idle_bytes=child.idle_bytes, peak_bytes=child.peak_bytes)
    runtime = open_runtime(folder, artifact)
    return Contender(runtime.name, artifact.file, artifact.form.precision, runtime, artifact.bytes, load)


def _torch(folder: Path, network: Network, form: Form) -> Contender:
    size = sum(4 * parameter.numel() for parameter in network.parameters())
    load = _elsewhere(Order(path=str(folder.resolve()), form=form), TORCH)
    return Contender(TORCH, None, "float32", TorchRuntime(network, form), size, load)


def _onnx(network: Network, form: Form, precision: Precision) -> Contender:
    content = onnx.lower(_cut(network, form).spec(), form).content
    with tempfile.TemporaryDirectory(prefix="qwrist-") as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(content)
        if precision != "float32":
            content = _quantized(path)
        load = _elsewhere(Order(path=str(path), form=form), ONNX)
    return Contender(ONNX, None, precision, onnx.OnnxRuntime(content, form), len(content), load)


def _quantized(path: Path) -> bytes:
    """ONNX Runtime's own dynamic quantization, in place: int8 weights of products and LSTMs."""
    tools: Any = require("onnxruntime.quantization", "parity")
    with quiet_loading():  # it recommends a preprocessing that a chunk of fixed shape has no use for
        tools.quantize_dynamic(path, path, weight_type=tools.QuantType.QInt8)
    return path.read_bytes()


def _elsewhere(order: Order, name: str) -> Load:
    """Load and run it in a new process. Raises QwristError with its last words where that fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "export.bench.child"],
            input=order.model_dump_json().encode(),
            capture_output=True,
            timeout=_CHILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise QwristError(f"{name} took over {_CHILD_TIMEOUT_S:g} s to load; try again") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise QwristError(f"{name} cannot be loaded in a process of its own: {last[-1]}")
    return Load.model_validate_json(done.stdout.splitlines()[-1])
