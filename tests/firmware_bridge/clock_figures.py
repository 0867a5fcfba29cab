"""The figures of docs/decisions/0008-one-clock.md.

OMP_NUM_THREADS=1 python -m tests.firmware_bridge.clock_figures    # two and a half minutes of one core
"""

# ruff: noqa: T201  (a script)

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from edge.samples import ELECTRODES, Float64
from firmware_bridge.align import Aligner
from firmware_bridge.clock import BandClock
from firmware_bridge.stream import Segment
from tests.firmware_bridge.arrivals import (
    RATE_HZ,
    Crystal,
    Radio,
    Traffic,
    errors_ms,
    events,
    recorded,
    traffic,
    uniform,
)

HOUR_S = 3600.0
CRYSTALS_PPM = (100.0, -100.0)
SEED = 1


class Case(NamedTuple):
    """A row."""

    name: str
    radio: Radio
    ping_s: float | None = 0.25
    wander: float = 0.0  # ppm a minute
    samples: tuple[int, int] = (19, 19)


def cases() -> list[Case]:
    jitter, real = uniform(0.05), recorded()
    rows = [
        Case(name, radio, ping_s, wander)
        for name, radio in (("50 ms", jitter), ("recorded", real), ("events 15 ms", events(0.015)))
        for ping_s, wander in ((0.25, 0.0), (1.0, 0.0), (None, 0.0), (0.25, 1.0))
    ]
    rows += [Case(f"events {ms} ms", events(ms / 1000)) for ms in (7.5, 30, 50)]
    for samples in ((7, 7), (13, 13), (20, 20), (31, 31), (13, 31)):
        rows += [Case(f"{samples} / {ms} ms", events(ms / 1000), samples=samples) for ms in (15, 30)]
    return rows


def both(case: Case) -> list[Traffic]:
    rng = np.random.default_rng(SEED)
    return [
        traffic(
            HOUR_S,
            case.radio,
            Crystal(ppm, case.wander, rng.uniform(0, 6)),
            rng,
            samples=case.samples,
            ping_s=case.ping_s,
            tightest=3,
        )
        for ppm in CRYSTALS_PPM
    ]


def spread(error_ms: Float64) -> str:
    return " ".join(f"{v:5.2f}" for v in np.percentile(np.abs(error_ms), [50, 99, 100]))


def clocks(case: Case) -> None:
    seconds = np.arange(1.5, HOUR_S - 2, 0.5)
    error_ms = np.array([errors_ms(BandClock(), run, seconds)[0] for run in both(case)])
    between_ms, start, later = error_ms[0] - error_ms[1], seconds < 10, seconds >= 60
    print(
        f"{case.name:18} {case.ping_s or '-':>5} {case.wander:3.0f} | {spread(between_ms[start])} |"
        f" {spread(between_ms[later])} | {spread(between_ms)} | {spread(error_ms[:, start])} |"
        f" {spread(error_ms[:, later])}",
        flush=True,
    )


def aligned(case: Case) -> None:
    """What the aligner emits: samples that share a row, and the time of the row against the left band's."""
    runs, aligner, told = both(case), Aligner(), [0, 0]
    state, found = aligner.initial_state(), []
    rest = np.zeros((4 * RATE_HZ, ELECTRODES), np.float32)
    for at_s, wrist, index, sent_s in sorted(_moments(runs)):
        if sent_s:
            state = aligner.ping(state, wrist, index, sent_s, at_s)
            continue
        state = aligner.push(state, wrist, Segment(0, rest[: index - told[wrist]]), index, at_s)
        told[wrist] = index
        while (pulled := aligner.pull(state))[1] is not None:
            state, chunk = pulled
            left_s, right_s = (
                float(run.crystal.host_s(np.float64((state.emitted - lane.shift) / RATE_HZ)))
                for run, lane in zip(runs, state.lanes, strict=True)
            )
            row_s = chunk.time_s[-1] + 1 / RATE_HZ
            found.append((state.emitted / RATE_HZ, (left_s - right_s) * 1e3, (row_s - left_s) * 1e3))
    seconds, between_ms, late_ms = np.array(found).T
    later = seconds >= 60
    repeated = sum(lane.repeated for lane in state.lanes)
    print(
        f"aligner, {case.name:12} {case.wander:3.0f} | bands {spread(between_ms[later])} |"
        f" whole hour {spread(between_ms)} | rows {spread(late_ms[later])} | {repeated} repeated",
        flush=True,
    )


def _moments(runs: list[Traffic]) -> list[tuple[float, int, int, float]]:
    moments = []
    for wrist, run in enumerate(runs):
        moments += [(at_s, wrist, int(i), 0.0) for i, at_s in zip(run.index, run.arrival_s, strict=True)]
        pings = zip(run.pinged, run.sent_s, run.received_s, strict=True)
        moments += [(got_s, wrist, int(i), sent_s) for i, sent_s, got_s in pings]
    return moments


def main() -> None:
    print(
        "p50 p99 max, ms     ping wander | bands 1-10 s | bands 60 s on | bands hour | truth 1-10 s | 60 s on"
    )
    for case in cases():
        clocks(case)
    for case in (*cases()[:8:4], *cases()[3:8:4]):
        aligned(case)


if __name__ == "__main__":
    sys.exit(main())
