"""bench.json: a row a contender, and the table that people read."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from edge.documents import read_json
from edge.features import FRAME_RATE_HZ
from edge.files import write_atomically
from edge.manifest import Precision, Takes

FILE_NAME: Final = "bench.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BenchRow(_Record):
    """One contender. Times are of one thread; signal seconds are those of the frames a call advances by."""

    contender: str  # "LiteRT", "torch eager", "ONNX Runtime"
    file: str | None  # None for what runs the network itself
    precision: Precision
    takes: Takes
    chunk_frames: int
    lookahead_frames: int
    whole_window: bool
    bytes: int  # of the file; of the weights in float32 for torch
    load_ms: float  # wall time from bytes to a runtime, in a process of its own
    idle_mb: float  # most memory of that process with the runtime's library imported; 0 where not known
    peak_mb: float  # most memory of it once it had loaded and run
    calls: int
    cpu_ms_median: float  # CPU time: on a machine with other work it is steadier than the clock
    cpu_ms_p99: float
    wall_ms_median: float
    wall_ms_p99: float
    macs_per_call: int  # of matrix products

    @property
    def signal_ms(self) -> float:
        """Signal that a call decodes."""
        return 1e3 * self.chunk_frames / FRAME_RATE_HZ

    @property
    def real_time_factor(self) -> float:
        """CPU seconds a second of signal: below 1 keeps up."""
        return self.cpu_ms_median / self.signal_ms

    @property
    def mmac_per_s(self) -> float:
        """Million multiply-accumulates a second of signal: the arithmetic half of what drains a battery."""
        return 1e-6 * self.macs_per_call / (1e-3 * self.signal_ms)

    @property
    def weights_mb_per_s(self) -> float:
        """Megabytes of file read a second of signal, once a call: the half that memory drains.

        A proxy, no energy: on small cores a byte from flash costs tens of multiply-accumulates.
        """
        return 1e-6 * self.bytes / (1e-3 * self.signal_ms)

    @property
    def gmac_per_cpu_s(self) -> float:
        """Thousand million multiply-accumulates a second of CPU time: how well the processor is used."""
        return 1e-9 * self.macs_per_call / (1e-3 * self.cpu_ms_median)


class BenchReport(_Record):
    """bench.json."""

    schema_version: Literal[1] = 1
    network: str
    machine: str
    threads: int
    rows: tuple[BenchRow, ...]

    def times(self, row: BenchRow, contender: str) -> float | None:
        """How many times faster than `contender` a row is, at equal precision and cut; None without one."""
        for other in self.rows:
            same = (other.precision, other.chunk_frames, other.lookahead_frames, other.whole_window)
            if other.contender == contender and same == (
                row.precision,
                row.chunk_frames,
                row.lookahead_frames,
                row.whole_window,
            ):
                return other.cpu_ms_median / row.cpu_ms_median
        return None


TORCH: Final = "torch eager"
ONNX: Final = "ONNX Runtime"
SPEED_COLUMNS: Final = ("artifact", "in", "a call", "CPU ms", "p99", "real time", "× torch", "× ONNX")
COST_COLUMNS: Final = ("artifact", "in", "MB", "load ms", "peak MB", "MMAC/s", "read MB/s")


def speed_rows(report: BenchReport) -> list[tuple[str, ...]]:
    """How fast each contender is, a line of text each, under SPEED_COLUMNS."""
    return [
        (
            *_who(row),
            _chunk(row),
            f"{row.cpu_ms_median:.3f}",
            f"{row.cpu_ms_p99:.3f}",
            f"{row.real_time_factor:.4f}",
            _times(report.times(row, TORCH)),
            _times(report.times(row, ONNX)),
        )
        for row in _sorted(report)
    ]


def cost_rows(report: BenchReport) -> list[tuple[str, ...]]:
    """What each contender takes, a line of text each, under COST_COLUMNS."""
    return [
        (
            *_who(row),
            f"{row.bytes / 1e6:.2f}",
            f"{row.load_ms:.0f}",
            f"{row.peak_mb:.0f} (+{row.peak_mb - row.idle_mb:.0f})" if row.peak_mb else "-",
            f"{row.mmac_per_s:.0f}",
            f"{row.weights_mb_per_s:.0f}",
        )
        for row in _sorted(report)
    ]


def _sorted(report: BenchReport) -> list[BenchRow]:
    """Equal cut and precision beside each other."""

    def together(row: BenchRow) -> tuple[object, ...]:
        return row.whole_window, row.chunk_frames, row.lookahead_frames, row.precision, row.cpu_ms_median

    return sorted(report.rows, key=together)


def _who(row: BenchRow) -> tuple[str, str]:
    return row.file or f"network, {row.precision}", row.contender


def _chunk(row: BenchRow) -> str:
    ahead = f" + {8 * row.lookahead_frames}" if row.lookahead_frames else ""
    return f"{row.signal_ms:.0f}{ahead} ms"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def write_bench(folder: Path, report: BenchReport) -> None:
    """Write bench.json into `folder`, whole or not at all."""
    write_atomically(folder / FILE_NAME, report.model_dump_json(indent=1).encode())


def read_bench(folder: Path) -> BenchReport:
    """Read bench.json of `folder`. Raises BadInput."""
    return read_json(BenchReport, folder / FILE_NAME, "a bench report of schema 1", "run: qwrist bench")
