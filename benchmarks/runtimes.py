"""What a chunk costs in each runtime: CPU time at one thread, all in one process and one run.

    python benchmarks/runtimes.py [streaming | spatial_lstm]

Runtimes take turns on the same frames, so that the ratios hold on a machine with other work; the
milliseconds are this machine's. Weights are untrained: time does not depend on them.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch

from edge.features import BINS, FRAME_RATE_HZ
from edge.manifest import RuntimeKind
from edge.normalize import Prior
from edge.runtimes import Runtime
from edge.runtimes.executorch import ExecuTorchRuntime
from edge.runtimes.litert import LiteRtRuntime
from edge.samples import ELECTRODES, SIDES, WRISTS, Float32
from export.artifacts import lower
from personalize.model import describe
from personalize.networks import build
from personalize.reference import TorchRuntime

FRAME = (WRISTS, ELECTRODES, BINS)
ROUNDS = 200  # of live chunks; whole windows cost a hundred times more
BUDGET_S = 20.0


def contenders(name: str) -> tuple[int, dict[str, tuple[Runtime, int]]]:
    """The chunk, and each runtime with its artifact's bytes (0 for torch, which has none)."""
    network = build(name).eval()
    prior = Prior(np.zeros(FRAME, np.float32), np.ones(FRAME, np.float32))
    manifest = describe(network, user="bench", simulated=True, sides=SIDES, prior=prior)
    kinds: dict[RuntimeKind, type[ExecuTorchRuntime] | type[LiteRtRuntime]] = {
        "executorch": ExecuTorchRuntime,
        "litert": LiteRtRuntime,
    }
    found: dict[str, tuple[Runtime, int]] = {"torch eager": (TorchRuntime(network), 0)}
    for kind, runtime in kinds.items():
        content = lower(network.spec(), manifest, kind)
        found[runtime.name] = runtime(content, manifest.state, 1), len(content)
    return manifest.chunk_frames, found


def measure(runtimes: dict[str, tuple[Runtime, int]], frames: Float32) -> dict[str, float]:
    """Median CPU milliseconds a chunk."""
    spent: dict[str, list[float]] = {name: [] for name in runtimes}
    states = {name: runtime.initial_state() for name, (runtime, _) in runtimes.items()}
    deadline = time.perf_counter() + BUDGET_S
    for warm in range(-3, ROUNDS):
        for name, (runtime, _) in runtimes.items():
            start = time.process_time()
            runtime.run(frames, states[name])
            if warm >= 0:
                spent[name].append(1e3 * (time.process_time() - start))
        if warm >= 5 and time.perf_counter() > deadline:
            break
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    """Print one table a network."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ("streaming", "spatial_lstm"):
        chunk, runtimes = contenders(name)
        frames = np.random.default_rng(0).standard_normal((chunk, *FRAME)).astype(np.float32)
        medians = measure(runtimes, frames)
        signal_ms = 1e3 * chunk / FRAME_RATE_HZ
        print(f"{name}: {chunk} frames, {signal_ms:.0f} ms of signal a chunk, one thread")
        print(f"{'':12} {'MB':>6} {'ms/chunk':>9} {'real-time factor':>17} {'speed, torch = 1':>17}")
        for runtime, (_, size) in runtimes.items():
            ms = medians[runtime]
            print(
                f"{runtime:12} {size / 1e6 or float('nan'):6.2f} {ms:9.3f} {ms / signal_ms:17.4f} "
                f"{medians['torch eager'] / ms:17.2f}"
            )


if __name__ == "__main__":
    main()
