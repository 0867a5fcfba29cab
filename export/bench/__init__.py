"""Bench: what each artifact costs, beside torch and ONNX Runtime, in one run on one thread."""

from export.bench.cost import macs
from export.bench.report import (
    COST_COLUMNS,
    FILE_NAME,
    SPEED_COLUMNS,
    BenchReport,
    BenchRow,
    cost_rows,
    read_bench,
    speed_rows,
    write_bench,
)
from export.bench.run import bench

__all__ = [
    "COST_COLUMNS",
    "FILE_NAME",
    "SPEED_COLUMNS",
    "BenchReport",
    "BenchRow",
    "bench",
    "cost_rows",
    "macs",
    "read_bench",
    "speed_rows",
    "write_bench",
]
