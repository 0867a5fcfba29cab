"""One page with the error of every stage and every emission: no script, no font, no file from anywhere."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from edge.features import FRAME_RATE_HZ
from edge.samples import RATE_HZ, Bool, Float32
from export.parity.check import Proof
from export.parity.report import COLUMNS, ParityReport, rows
from personalize.html_report.document import document, table

_WIDTH, _HEIGHT = 860, 150  # of a plot, in CSS pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 22  # room for its labels
_LOWEST, _HIGHEST = (
    -8,
    2,
)  # decades shown: below float32's rounding, and as far as log-probabilities can differ
_COLUMNS_SHOWN: Final = 800  # at most: a long recording is drawn by the largest error of each column
_RATES_HZ: Final = {"filter": float(RATE_HZ)}  # rows of a stage; every other has one a frame

_STYLE: Final = """
h3 { font-size: 1rem; margin: 1rem 0 0 } p.fault { color: #b00020 }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left } td:last-child { color: #b00020; font-weight: 600 }
svg text { font-size: 11px; fill: #60676f }
.grid { stroke: #e3e6ea }
.limit { stroke: #b00020; stroke-dasharray: 5 4 } .error { stroke: #2f6db5; fill: none }
.key { fill: #d97706 }
.plots { display: grid; grid-template-columns: 1fr 1fr; gap: .9rem 1.2rem }
.plots :first-child { grid-column: 1 / -1 }
.plots svg:not(:first-child) text { font-size: 16px } .plots svg:not(:first-child) .error { stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  .grid { stroke: #2d3237 } svg text { fill: #9aa2ab } .error { stroke: #6ea8e8 }
  p.fault, td:last-child { color: #ff7b8a } .limit { stroke: #ff7b8a } .key { fill: #f2a33a } }
"""

_EMISSIONS: Final = """<h2>Emissions</h2>
<p class=note>Largest |&Delta; log p| of each emission; dots below mark emissions where a key is said.</p>"""
_FRONT_END: Final = """<h2>Front end, stage by stage</h2>
<p class=note>Edge's own code against the matrices that an artifact with a front end is made of, and in
a bundle against what lies there. Largest error of each row: filter as a share of the peak, frames in log10
power, normalisation in standard deviations.</p>"""


class _Plot(NamedTuple):
    """An error over time, on a logarithmic scale."""

    values: Float32  # (N,) one a row
    rate_hz: float | None = None  # rows a second; None for emissions, which are counted
    limit: float | None = None
    marked: Bool | None = None  # (N,) rows where a key is said


def page(proof: Proof, title: str) -> str:
    """The whole document."""
    report = proof.report
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=note>Network {html.escape(report.network)}."
        + (" A simulated wearer: no figure here is a person's." if report.simulated else "")
        + " Errors are on a logarithmic scale; the dashed line is the limit.</p>",
        _verdict(report),
        table(COLUMNS, rows(report)),
        _EMISSIONS,
        *_emissions(proof),
        _FRONT_END,
        *_stages(proof),
    ]
    return document(title, parts, _STYLE)


def _verdict(report: ParityReport) -> str:
    failures = report.failures()
    if not failures:
        return "<p>Everything that was compared says what the desk says.</p>"
    return "".join(f"<p class=fault>{html.escape(failure)}</p>" for failure in failures)


def _emissions(proof: Proof) -> Iterable[str]:
    precisions = {(one.runtime, one.file or "network"): one.precision for one in proof.report.runtimes}
    for (runtime, file), precision in precisions.items():
        limit = proof.report.thresholds.float32.max_delta if precision == "float32" else None
        plots = [
            _svg(_Plot(one.trace.delta, limit=limit, marked=one.trace.spoken), one.trace.golden)
            for one in proof.emissions
            if (one.runtime, one.file) == (runtime, file)
        ]
        yield f"<h3>{html.escape(file)} in {html.escape(runtime)}</h3><div class=plots>{''.join(plots)}</div>"


def _stages(proof: Proof) -> Iterable[str]:
    limits = proof.report.thresholds.stages
    allowed = {
        "filter": limits.filter_relative,
        "frames": limits.frames_p99,
        "normalize": limits.normalize_p99,
    }
    goldens = dict.fromkeys(trace.golden for trace in proof.stages)
    for golden in goldens:
        plots = [
            _svg(_Plot(one.delta, _RATES_HZ.get(one.stage, FRAME_RATE_HZ), allowed[one.stage]), one.stage)
            for one in proof.stages
            if one.golden == golden
        ]
        yield f"<h3>{html.escape(golden)}</h3><div class=plots>{''.join(plots)}</div>"


def _svg(plot: _Plot, label: str) -> str:
    """One plot: decades as grid, the error as a line, the limit, and where keys are said."""
    inner = _WIDTH - _LEFT - _RIGHT
    columns = min(_COLUMNS_SHOWN, max(1, len(plot.values)))
    marks = np.zeros(len(plot.values), np.bool_) if plot.marked is None else plot.marked
    groups = [] if len(plot.values) == 0 else np.array_split(np.arange(len(plot.values)), columns)
    points, dots = [], []
    for column, group in enumerate(groups):
        x = _LEFT + inner * (column + 0.5) / columns
        points.append(f"{x:.1f},{_y(float(plot.values[group].max())):.1f}")
        if marks[group].any():
            dots.append(f'<circle class=key cx="{x:.1f}" cy="{_HEIGHT - _BOTTOM + 5}" r="1.6"/>')
    lines = [_grid(decade) for decade in range(_LOWEST, _HIGHEST + 1, 2)]
    if plot.limit is not None:
        y = _y(plot.limit)
        lines.append(f'<line class=limit x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    name = html.escape(label)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">'
        f'{"".join(lines)}<polyline class=error points="{" ".join(points)}"/>{"".join(dots)}'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{name}, {_length(plot)}</text></svg>'
    )


def _length(plot: _Plot) -> str:
    if plot.rate_hz is None:
        return f"{len(plot.values)} emissions"
    return f"{len(plot.values) / plot.rate_hz:.1f} s"


def _y(value: float) -> float:
    """From the top; what is no number is drawn at the top, 0 at the bottom."""
    decade = _HIGHEST if not math.isfinite(value) else math.log10(max(value, 10.0**_LOWEST))
    share = (min(decade, _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _grid(decade: int) -> str:
    y = _y(10.0**decade)
    return (
        f'<line class=grid x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="4" y="{y + 4:.1f}">1e{decade:+d}</text>'
    )
