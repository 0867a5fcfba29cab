"""What CER costs less waiting: one trained spatial_lstm, read in chunks of several lengths and lookaheads.

    export OMP_NUM_THREADS=1
    personalize --user ID --recipe paper        # or any folder with a trained spatial_lstm
    python benchmarks/network/lookahead.py MODEL_FOLDER --wearer 11 --session 5 --seconds 360 --svg FILE

The network is the same throughout, trained on whole windows; what varies is how it is run: forward directions
carried from chunk to chunk, backward ones restarted at the end of each lookahead. A chunk waits for its own
length and its lookahead. The recording is one of a simulated wearer that the model was not trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch

from edge.features import FRAME_RATE_HZ
from edge.scoring import Cer
from personalize.evaluate import emissions, score_emissions
from personalize.features import FramedSession
from personalize.forms import form_of
from personalize.geometry import Geometry
from personalize.model import load_model
from personalize.networks import SpatialLstm, streamed
from personalize.reference import TorchRuntime, deployed_form
from simulate.recording import to_session
from simulate.wearer import Wearer

CHUNKS_MS: Final = (104, 200, 400, 1000)  # whole frames of 8 ms
LOOKAHEADS_MS: Final = (0, 104, 200, 400)
WIDTH, HEIGHT, MARGIN = 560, 320, 48  # of the picture, in its own units
RIGHT: Final = WIDTH - MARGIN
COLOURS: Final = ("#1b6ca8", "#d1495b", "#3d8361", "#8d6a9f")


Place = Callable[[float, float], tuple[float, float]]
"""From a wait in ms and a CER in percent to a point of the picture."""


class Point(NamedTuple):
    """One way of running the network."""

    chunk_ms: int
    lookahead_ms: int
    cer: Cer

    @property
    def waits_ms(self) -> int:
        """The longest that an emission waits for the end of what it is read with."""
        return self.chunk_ms + self.lookahead_ms


def measure(network: SpatialLstm, session: FramedSession) -> tuple[Cer, list[Point]]:
    """The CER in whole windows, and at each chunk and lookahead."""
    values = session.frames.values

    def cer(runtime: TorchRuntime) -> Cer:
        geometry = Geometry.for_decoding(network, runtime.form)
        return score_emissions(emissions(runtime, values, geometry), session.labels, geometry)

    whole = cer(TorchRuntime(network, deployed_form(network)))
    points = []
    for lookahead_ms in LOOKAHEADS_MS:
        frames = _frames(lookahead_ms)
        spec = streamed(network, frames).spec()
        for chunk_ms in CHUNKS_MS:
            form = form_of(spec, chunk_frames=_frames(chunk_ms), lookahead_frames=frames)
            points.append(Point(chunk_ms, lookahead_ms, cer(TorchRuntime(network, form))))
    return whole, points


def table(whole: Cer, points: Sequence[Point]) -> str:
    """A row a lookahead, a column a chunk."""
    by_place = {(point.lookahead_ms, point.chunk_ms): point.cer.percent for point in points}
    rows = [
        f"| lookahead \\ chunk | {' | '.join(f'{c} ms' for c in CHUNKS_MS)} |",
        "|---|" + "---|" * len(CHUNKS_MS),
    ]
    for lookahead in LOOKAHEADS_MS:
        cells = (f"{by_place[lookahead, chunk]:.1f} %" for chunk in CHUNKS_MS)
        rows.append(f"| {lookahead} ms | {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"Whole windows of 4 s: {whole.percent:.1f} %, of {whole.length} keys."])


def picture(whole: Cer, points: Sequence[Point]) -> str:
    """CER against the longest wait, a line a lookahead."""
    highest = 1.05 * max(p.cer.percent for p in points)
    lowest = 0.95 * min(whole.percent, *(p.cer.percent for p in points))
    longest = max(p.waits_ms for p in points)

    def place(waits_ms: float, percent: float) -> tuple[float, float]:
        across = MARGIN + (WIDTH - 2 * MARGIN) * waits_ms / longest
        return across, MARGIN + (HEIGHT - 2 * MARGIN) * (highest - percent) / (highest - lowest)

    left, level = place(0, whole.percent)
    lines = [
        f'<line x1="{left}" y1="{level:.0f}" x2="{RIGHT}" y2="{level:.0f}" stroke="#888"/>',
        _text(RIGHT, level + 34, f"whole windows, {whole.percent:.1f} %", "end"),
    ]
    for lookahead, colour in zip(LOOKAHEADS_MS, COLOURS, strict=True):
        own = [place(p.waits_ms, p.cer.percent) for p in points if p.lookahead_ms == lookahead]
        lines.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" '
            f'points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in own)}"/>'
        )
        lines += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>' for x, y in own]
        row = MARGIN + 14 * LOOKAHEADS_MS.index(lookahead)
        lines.append(_text(RIGHT, row, f"lookahead {lookahead} ms", "end", colour))
    lines += _axes(place, lowest, highest, longest)
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _axes(place: Place, lowest: float, highest: float, longest: int) -> list[str]:
    found = []
    for waits_ms in range(0, longest + 1, 200):
        x, y = place(waits_ms, lowest)
        found.append(_text(x, y + 16, str(waits_ms), "middle"))
    step = 10 if highest - lowest > 20 else 2
    for percent in range(int(lowest // step + 1) * step, int(highest) + 1, step):
        x, y = place(0, percent)
        found.append(_text(x - 6, y + 4, f"{percent} %", "end"))
    found.append(_text(WIDTH / 2, HEIGHT - 8, "chunk and lookahead: the longest wait, ms", "middle"))
    return found


def _text(x: float, y: float, text: str, anchor: str, colour: str = "black") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _frames(ms: int) -> int:
    return round(ms * FRAME_RATE_HZ / 1000)


def main() -> None:
    """Print the table; draw the picture where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--wearer", type=int, required=True, help="simulated; the one that the model is of")
    parser.add_argument("--difficulty", default="medium")
    parser.add_argument("--session", type=int, default=5, help="a donning that the model was not trained on")
    parser.add_argument("--seconds", type=float, default=360.0)
    parser.add_argument("--svg", type=Path)
    asked = parser.parse_args()

    torch.set_num_threads(1)
    network, _ = load_model(asked.model)
    if not isinstance(network, SpatialLstm):
        raise SystemExit(f"{asked.model} holds a {network.name}; only spatial_lstm has a lookahead to vary")
    performance = Wearer(asked.wearer, asked.difficulty).perform(asked.session, duration_s=asked.seconds)
    framed = FramedSession.of(to_session(performance))
    whole, points = measure(network, framed)
    print(table(whole, points))
    if asked.svg is not None:
        asked.svg.write_text(picture(whole, points), encoding="utf-8")


if __name__ == "__main__":
    main()
