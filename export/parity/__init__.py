"""Parity: does a runtime say what the torch reference says, in numbers and in text?"""

from export.parity.check import Case, Elsewhere, Proof, check, check_artifacts, onnx_runtime, prove, spec_of
from export.parity.drift import Drift, drift
from export.parity.judge import expectations, judge
from export.parity.measures import Agreement, ParityFailed, compare
from export.parity.report import (
    COLUMNS,
    FILE_NAME,
    SUMMARY_COLUMNS,
    Figures,
    ParityReport,
    RuntimeParity,
    read_report,
    rows,
    summary,
    write_report,
)
from export.parity.thresholds import Thresholds, load_thresholds

__all__ = [
    "COLUMNS",
    "FILE_NAME",
    "SUMMARY_COLUMNS",
    "Agreement",
    "Case",
    "Drift",
    "Elsewhere",
    "Figures",
    "ParityFailed",
    "ParityReport",
    "Proof",
    "RuntimeParity",
    "Thresholds",
    "check",
    "check_artifacts",
    "compare",
    "drift",
    "expectations",
    "judge",
    "load_thresholds",
    "onnx_runtime",
    "prove",
    "read_report",
    "rows",
    "spec_of",
    "summary",
    "write_report",
]
