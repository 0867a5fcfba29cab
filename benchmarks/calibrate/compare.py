"""How near the simulated wearers come to what is published of real ones, side by side.

    python benchmarks/calibrate/compare.py DATA [--picture docs/pictures/simulation.svg]

DATA is a folder with typing/*_keystrokes.csv.gz (labels of emg2qwerty) and emg/grabmyo_wrist_forearm.npz (an
excerpt of GRABMyo); neither ships. Prints a table in Markdown. The wearers measured here were not looked at
when the preset was chosen (those were 30 to 35 and 50 to 65).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Final, NamedTuple

import numpy as np
from drawing import MARKED, PLAIN, REAL, Panel, draw
from fit_typing import POLL_S, corrections, read
from scipy.signal import welch

from edge.charset import BACKSPACE
from edge.features import LogSpectrogram
from edge.files import write_atomically
from edge.highpass import HighPass
from edge.samples import RATE_HZ, Float64, KeyPress
from personalize.base_users import forbid
from simulate.difficulty import CALIBRATED, presets
from simulate.probe import probe
from simulate.wearer import Performance, Wearer

WEARERS: Final = range(400, 420)
PROBED: Final = range(400, 406)
PROBE_S: Final = 240.0
SESSION_S: Final = 90.0
SPECTRUM_FROM_HZ: Final = 40.0  # both signals are high-passed there
EDGES_HZ: Final = (40.0, 62.5, 125.0, 250.0, 375.0, 1000.0)
SEGMENT: Final = 512  # samples a segment of the spectra: about 4 Hz
SETTLING: Final = 1000  # samples until the high-pass has settled
GRABMYO_HZ: Final = 2048.0


class Typing(NamedTuple):
    """One person's typing."""

    keys_a_minute: float
    overlap: float  # share of presses before the last key was up
    interval_s: float  # medians
    hold_s: float
    backspaces: float  # share of keys
    on_grid: float  # share of intervals on a grid of 15 ms


class Signal(NamedTuple):
    """One wearer's signal."""

    mean: float  # of log power
    means: Float64  # (WE,) by electrode
    squares: Float64  # (WE,) means of the squares
    density: Float64  # over hz, of one
    quantiles_uv: Float64  # of the magnitude: 50 % and 99.9 %


def typing(sessions: Sequence[Sequence[KeyPress]]) -> Typing:
    """Over all sessions of a person."""
    pairs = [pair for keys in sessions for pair in pairwise(keys)]
    intervals_s = np.array([b.press_s - a.press_s for a, b in pairs])
    steps = intervals_s[intervals_s < 1] / POLL_S
    keys = [key for keys in sessions for key in keys]
    return Typing(
        60 * len(keys) / sum(keys[-1].press_s - keys[0].press_s for keys in sessions),
        float(np.mean([a.release_s > b.press_s for a, b in pairs])),
        float(np.median(intervals_s)),
        median(key.release_s - key.press_s for key in keys),
        mean(key.key == BACKSPACE for key in keys),
        float(np.mean(np.abs(steps - np.round(steps)) * POLL_S < 0.0011)),
    )


def signal(performance: Performance) -> Signal:
    """After the high-pass that all networks see."""
    high_pass, spectrogram = HighPass(), LogSpectrogram()
    _, emg_uv = high_pass.step(high_pass.initial_state(performance.emg_uv[0]), performance.emg_uv)
    _, frames = spectrogram.step(spectrogram.initial_state(), emg_uv, performance.valid)
    emg_uv = emg_uv[SETTLING:].reshape(len(emg_uv) - SETTLING, -1)
    values = frames.values.reshape(len(frames.values), -1, frames.values.shape[-1])  # (T, WE, F)
    return Signal(
        float(values.mean()),
        values.mean((0, 2), np.float64),
        np.square(values).mean((0, 2), np.float64),
        density(emg_uv, RATE_HZ)[1],
        np.quantile(np.abs(emg_uv), [0.5, 0.999]),
    )


def density(samples: Float64, rate_hz: float) -> tuple[Float64, Float64]:
    """Frequencies from SPECTRUM_FROM_HZ and the power there, of one in all, mean over electrodes (T, E)."""
    hz, power = welch(samples, rate_hz, nperseg=SEGMENT, axis=0)
    kept = hz >= SPECTRUM_FROM_HZ
    power = power.mean(1)[kept]
    return hz[kept], power / power.sum()


def real_wrist(data: Path) -> list[Float64]:
    """Densities of GRABMyo's records: differences of neighbours around the wrist, as a band amplifies."""
    with np.load(data / "emg" / "grabmyo_wrist_forearm.npz", allow_pickle=False) as held:
        wrist = [i for i, name in enumerate(held["channels"]) if str(name).startswith("W")]
        emg = held["emg_int16"][:, :, wrist] * held["mv_per_lsb"]
    return [density(record - np.roll(record, 1, axis=1), GRABMYO_HZ)[1] for record in emg]


def frequencies(rate_hz: float) -> Float64:
    """Of `density`'s entries."""
    hz = np.fft.rfftfreq(SEGMENT, 1 / rate_hz)
    return np.asarray(hz[hz >= SPECTRUM_FROM_HZ])


def spectrum_rows(densities: Sequence[Float64], rate_hz: float) -> list[str]:
    """The median frequency of each record, and the shares of power by band."""
    hz = frequencies(rate_hz)
    medians = [float(hz[np.searchsorted(np.cumsum(one), 0.5)]) for one in densities]
    average = np.mean(densities, axis=0)
    shares = [average[(hz >= low) & (hz < high)].sum() for low, high in pairwise(EDGES_HZ)]
    low, high = np.quantile(medians, [0.1, 0.9])
    return [f"{median(medians):.0f} ({low:.0f} to {high:.0f})", *(f"{share:.2f}" for share in shares)]


def amplitude_rows(found: Sequence[Signal]) -> list[str]:
    """Mean and variance of log power, pooled over wearers as a training batch pools them; magnitudes."""
    means = [one.mean for one in found]
    variances = [float((one.squares - one.means**2).mean()) for one in found]
    pooled = np.mean([one.squares for one in found], 0) - np.mean([one.means for one in found], 0) ** 2
    quantiles = np.mean([one.quantiles_uv for one in found], axis=0)
    return [
        f"{mean(means):.3f} ± {_error(means):.3f}",
        f"{pooled.mean():.3f} ± {_error(variances):.3f}",
        f"{quantiles[0]:.0f}, {quantiles[1]:.0f}",
    ]


def _error(values: Sequence[float]) -> float:
    """Of their mean."""
    return stdev(values) / math.sqrt(len(values))


def typing_rows(people: Sequence[Typing]) -> list[str]:
    """Means over people, and the extremes."""
    columns = np.array(people).T
    digits = (0, 2, 3, 3, 3, 2)
    return [
        f"{column.mean():.{n}f} ({column.min():.{n}f} to {column.max():.{n}f})"
        for column, n in zip(columns, digits, strict=True)
    ]


ROWS: Final = (
    "log power: mean",
    "log power: variance of an electrode",
    "magnitude, file units: median, 99.9 %",
    "median frequency, Hz (deciles)",
    *(f"power from {low:g} to {high:g} Hz" for low, high in pairwise(EDGES_HZ)),
    "keys a minute",
    "presses before the last key is up",
    "median interval, s",
    "median hold, s",
    "backspaces, of keys",
    "intervals on a grid of 15 ms",
    "slips seen at once",
    "linear probe, top-1",
)


def table(columns: Mapping[str, Sequence[str]]) -> str:
    """In Markdown."""
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [
        f"| {' | '.join([name, *cells])} |" for name, *cells in zip(ROWS, *columns.values(), strict=True)
    ]
    return "\n".join(lines)


def real(wrist: Sequence[Float64], people: Sequence[Typing], seen_at_once: float) -> list[str]:
    """The column of published figures: the first three as facts of the data set, the others counted here."""
    return [
        *("0.511", "1.146", "-"),
        *spectrum_rows(wrist, GRABMYO_HZ),
        *typing_rows(people),
        f"{seen_at_once:.2f}",
        "-",
    ]


def probed(name: str) -> str:
    """Mean over wearers, across donnings."""
    results = [
        probe(wearer.perform(0, duration_s=PROBE_S), wearer.perform(1, duration_s=PROBE_S)).accuracy
        for wearer in (Wearer(user, name) for user in PROBED)
    ]
    return f"{mean(results):.2f} ± {_error(results):.2f}"


def at_once(sessions: Sequence[Sequence[KeyPress]]) -> float:
    """Share of corrections that are a single backspace."""
    return mean(late == 0 for keys in sessions for late in corrections(keys))


def picture(
    wrist: Sequence[Float64],
    signals: Mapping[str, Sequence[Signal]],
    people: Sequence[Typing],
    simulated: Sequence[Typing],
) -> str:
    """Spectra, and people as points of speed and overlap."""
    spectra = Panel("Spectrum at the wrist", "Hz", "dB of the greatest", (0, 500), (-30, 0), (6, 4))
    for name, colour, rate_hz, densities in (
        ("GRABMyo, gestures", REAL, GRABMYO_HZ, wrist),
        ("mid", PLAIN, RATE_HZ, [one.density for one in signals["mid"]]),
        (CALIBRATED, MARKED, RATE_HZ, [one.density for one in signals[CALIBRATED]]),
    ):
        average = np.mean(densities, axis=0)
        spectra.line(name, colour, frequencies(rate_hz), 10 * np.log10(average / average.max()))
    speeds = Panel(
        "People: speed and overlap", "keys a minute", "presses before key up", (0, 500), (0, 0.6), (6, 4)
    )
    speeds.points(f"{len(people)} people of the logs", REAL, np.array([one[:2] for one in people]))
    speeds.points(f"{len(simulated)} calibrated wearers", MARKED, np.array([one[:2] for one in simulated]))
    return draw([spectra, speeds])


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--brief", action="store_true", help="leave out the probe and two of the presets")
    asked = parser.parse_args()

    for user in WEARERS:
        forbid(user)
    logs = read(asked.data / "typing")
    people = [typing([*sessions.values()]) for sessions in logs.values()]
    wrist = real_wrist(asked.data)
    every = [keys for sessions in logs.values() for keys in sessions.values()]
    columns = {"real": real(wrist, people, at_once(every))}
    signals: dict[str, list[Signal]] = {}
    typed: dict[str, list[Typing]] = {}
    for name in ("mid", CALIBRATED) if asked.brief else presets():
        logged: list[tuple[KeyPress, ...]] = []
        signals[name] = []
        for user in WEARERS:
            performance = Wearer(user, name).perform(0, duration_s=SESSION_S)
            signals[name].append(signal(performance))
            logged.append(performance.keys)
        typed[name] = [typing([keys]) for keys in logged]
        columns[name] = [
            *amplitude_rows(signals[name]),
            *spectrum_rows([one.density for one in signals[name]], RATE_HZ),
            *typing_rows(typed[name]),
            f"{at_once(logged):.2f}",
            "" if asked.brief else probed(name),
        ]
    print(table(columns))
    if asked.picture:
        write_atomically(asked.picture, picture(wrist, signals, people, typed[CALIBRATED]).encode())


if __name__ == "__main__":
    main()
