"""What a chunk costs in each runtime: CPU time at one thread, all in one process and one run.

    python benchmarks/runtimes.py [NETWORK ...] [--precision float32|int8_dynamic|int8_static ...]
                                  [--lookahead-ms MS] [--chunk-ms MS] [--calls N]

Runtimes take turns on the same input, so that the ratios hold on a machine with other work; the
milliseconds are this machine's. Weights are untrained: time does not depend on them. `qwrist bench`
measures a trained model.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from edge.features import BINS
from edge.manifest import Artifact, Precision, sha256_of, write_manifest
from edge.normalize import Prior
from edge.samples import ELECTRODES, SIDES, WRISTS
from export.artifacts import lower
from export.bench import COST_COLUMNS, SPEED_COLUMNS, BenchReport, bench, cost_rows, speed_rows
from export.plan import Wish, plan
from personalize.model import describe
from personalize.networks import build

FRAME = (WRISTS, ELECTRODES, BINS)


def measure(name: str, wish: Wish, calls: int) -> BenchReport:
    """Lower an untrained network for both runtimes, and measure what came out."""
    torch.manual_seed(0)
    network = build(name).eval()
    prior = Prior(np.zeros(FRAME, np.float32), np.ones(FRAME, np.float32))
    normalized = prior if network.frame_input == "normalized" else None
    manifest = describe(network, user="bench", simulated=True, sides=SIDES, prior=normalized)
    noise = np.random.default_rng(0).standard_normal((500, *FRAME)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        artifacts = []
        for planned in plan(network, manifest, wish, ("executorch", "litert")):
            calibration = [noise] if planned.form.precision == "int8_static" else []
            content, form = lower(planned.network, planned.form, planned.runtime, calibration)
            path = Path(folder) / planned.file
            path.write_bytes(content)
            artifacts.append(
                Artifact(
                    file=path.name,
                    runtime=planned.runtime,
                    sha256=sha256_of(path),
                    bytes=len(content),
                    form=form,
                )
            )
        write_manifest(Path(folder), manifest.model_copy(update={"artifacts": tuple(artifacts)}))
        return bench(Path(folder), calls=calls)


def main() -> None:
    """Print one table a network."""
    arguments = argparse.ArgumentParser(description="What a chunk costs in each runtime.")
    arguments.add_argument("networks", nargs="*", default=["streaming", "spatial_lstm"])
    arguments.add_argument("--precision", nargs="+", default=["float32"])
    arguments.add_argument("--lookahead-ms", type=float)
    arguments.add_argument("--chunk-ms", type=float)
    arguments.add_argument("--calls", type=int, default=200)
    given = arguments.parse_args()
    precisions: tuple[Precision, ...] = tuple(given.precision)
    wish = Wish(precisions, chunk_ms=given.chunk_ms, lookahead_ms=given.lookahead_ms)
    for name in given.networks:
        report = measure(name, wish, given.calls)
        print(f"\n{name}, one thread, {report.machine}")
        for columns, rows in (
            (SPEED_COLUMNS, speed_rows(report)),
            (COST_COLUMNS, cost_rows(report)),
        ):
            table = Table(*columns)
            for row in rows:
                table.add_row(*row)
            Console(width=120).print(table)


if __name__ == "__main__":
    main()
