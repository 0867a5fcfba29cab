"""Measuring: contenders take turns in one process; load and memory are taken in a process each."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.errors import BadInput
from edge.extras import require
from edge.manifest import ModelManifest, RuntimeKind, read_manifest
from edge.runtimes import Runtime
from edge.samples import Float64
from export.bench.contenders import Contender, contenders, network_of
from export.bench.cost import macs
from export.bench.examples import example
from export.bench.report import BenchReport, BenchRow
from export.parity import spec_of
from personalize.networks import Network

CALLS: Final = 200
BUDGET_S: Final = 30.0  # of turns: a whole window costs a hundred times a live chunk
_WARMING: Final = 3  # turns that are not counted
_LEAST: Final = 5  # turns that are made whatever the budget

Progress = Callable[[str, int, int], None]
"""Called before each step: what is being done, its number from 0, and how many there are."""


class _Timed(NamedTuple):
    cpu_ms: Float64
    wall_ms: Float64


def bench(
    folder: Path,
    runtimes: Sequence[RuntimeKind] | None = None,
    calls: int = CALLS,
    *,
    budget_s: float = BUDGET_S,
    progress: Progress | None = None,
) -> BenchReport:
    """Measure the artifacts of a model's or bundle's folder, at one thread, beside torch and ONNX Runtime.

    Raises BadInput where there is none, MissingExtra where a runtime is not installed.
    """
    manifest = read_manifest(folder)
    artifacts = [one for one in manifest.artifacts if runtimes is None or one.runtime in runtimes]
    if not artifacts:
        raise BadInput(f"{folder} holds no exported model; run: qwrist export")
    require("torch", "train").set_num_threads(1)
    network = network_of(folder)
    opened = []
    for contender in contenders(folder, artifacts, network):
        opened.append(contender)
        if progress is not None:
            progress(f"opened {contender.file or contender.name}", len(opened), len(artifacts) + 3)
    timed = _turns([contender.runtime for contender in opened], calls, budget_s)
    found = tuple(_row(*pair, network, manifest) for pair in zip(opened, timed, strict=True))
    return BenchReport(network=manifest.network, machine=_machine(), threads=1, rows=found)


def _turns(runtimes: Sequence[Runtime], calls: int, budget_s: float) -> list[_Timed]:
    """One call of each after the other, so that other work of the machine falls on all alike."""
    inputs = [example(runtime.form) for runtime in runtimes]
    states = [runtime.initial_state() for runtime in runtimes]
    cpu: list[list[int]] = [[] for _ in runtimes]
    wall: list[list[int]] = [[] for _ in runtimes]
    deadline = time.monotonic() + budget_s
    for turn in range(-_WARMING, calls):
        for i, runtime in enumerate(runtimes):
            began, worked = time.perf_counter_ns(), time.process_time_ns()
            _, states[i] = runtime.run(inputs[i], states[i])
            worked, took = time.process_time_ns() - worked, time.perf_counter_ns() - began
            if turn >= 0:
                cpu[i].append(worked)
                wall[i].append(took)
        if turn + 1 >= _LEAST and time.monotonic() > deadline:
            break
    return [_Timed(1e-6 * np.array(c), 1e-6 * np.array(w)) for c, w in zip(cpu, wall, strict=True)]


def _row(contender: Contender, times: _Timed, network: Network, manifest: ModelManifest) -> BenchRow:
    form, load = contender.runtime.form, contender.load
    return BenchRow(
        contender=contender.name,
        file=contender.file,
        precision=contender.precision,
        takes=form.takes,
        chunk_frames=form.chunk_frames,
        lookahead_frames=form.lookahead_frames,
        whole_window=form.whole_window,
        bytes=contender.bytes,
        load_ms=1e3 * load.load_s,
        idle_mb=load.idle_bytes / 1e6,
        peak_mb=load.peak_bytes / 1e6,
        calls=len(times.cpu_ms),
        cpu_ms_median=float(np.median(times.cpu_ms)),
        cpu_ms_p99=float(np.quantile(times.cpu_ms, 0.99)),
        wall_ms_median=float(np.median(times.wall_ms)),
        wall_ms_p99=float(np.quantile(times.wall_ms, 0.99)),
        macs_per_call=macs(spec_of(network, manifest, form), form),
    )


def _machine() -> str:
    """The processor, as far as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
