"""A real person's keystrokes, typed by the wearer: the paper's user, from the labels of a real session."""

import csv
import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge.highpass import HighPass
from edge.samples import RATE_HZ, KeyPress
from simulate.probe import probe
from simulate.wearer import Wearer

LOG = Path(__file__).resolve().parents[3] / "shared" / "data" / "typing" / "user89335547_keystrokes.csv.gz"
STRETCH_S = 180.0


@cache
def sessions():
    """The first minutes of each real session, from its first key."""
    if not LOG.exists():
        pytest.skip(f"real keystroke logs are not here ({LOG.name}, CC BY-NC-SA: they do not ship)")
    found = {}
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["ses"], []).append((float(row["onset"]), float(row["duration"]), row["key"]))
    return [_stretch(rows) for _, rows in sorted(found.items())]


def _stretch(rows):
    first_s = rows[0][0] - 2
    return [
        KeyPress(key, s - first_s, s - first_s + hold_s) for s, hold_s, key in rows if s - first_s < STRETCH_S
    ]


@cache
def performance(number):
    return Wearer(21).perform_keys(number, sessions()[number])


def test_keys_come_out_where_the_log_says():
    log = sessions()[0]
    assert len(log) > 400
    assert performance(0).keys == tuple(log)
    assert performance(0).duration_s > max(key.release_s for key in log)


def test_muscles_speak_around_the_presses_of_the_log():
    high_pass = HighPass()
    emg_uv = performance(0).emg_uv
    size = np.abs(high_pass.step(high_pass.initial_state(emg_uv[0]), emg_uv)[1]).mean((1, 2))
    pressing = np.zeros(len(size), bool)
    for key in performance(0).keys:
        pressing[int((key.press_s - 0.1) * RATE_HZ) : int(key.press_s * RATE_HZ)] = True
    assert size[pressing].mean() > 1.3 * size[~pressing].mean()


def test_the_probe_reads_real_typing_across_donnings():
    result = probe(performance(0), performance(1))
    assert result.accuracy > result.majority + 0.25
