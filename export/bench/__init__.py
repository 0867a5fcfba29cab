"""Bench: what each artifact costs, beside torch and ONNX Runtime, in one run on one thread."""

from export.bench.cost import macs
from export.bench.report import COLUMNS, FILE_NAME, BenchReport, BenchRow, read_bench, rows, write_bench
from export.bench.run import bench

__all__ = [
    "COLUMNS",
    "FILE_NAME",
    "BenchReport",
    "BenchRow",
    "bench",
    "macs",
    "read_bench",
    "rows",
    "write_bench",
]
