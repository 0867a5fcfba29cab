"""What CER costs less waiting: one trained spatial_lstm, read in chunks of several lengths and lookaheads.

    export OMP_NUM_THREADS=1
    python benchmarks/network/lookahead.py FOLDER --wearer 321 --steps 600 --svg FILE

The first run records a simulated wearer (four donnings of 8 minutes, one to choose the epoch, one to test)
and trains the network with the aligned loss, all kept in FOLDER; the next ones read what is there. It is
trained on whole windows and is the same throughout; what varies is how it is run: forward directions carried
from chunk to chunk, backward ones restarted at the end of each lookahead. A chunk waits for its own length
and its lookahead. Training is taken up where it was stopped; reading takes 1.5 CPU-seconds for each second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch

from edge.features import FRAME_RATE_HZ
from edge.scoring import Cer
from edge.session import read_session, write_session
from edge.store import User, UserStore
from personalize.base_users import forbid
from personalize.evaluate import emissions, score_emissions
from personalize.features import FramedSession
from personalize.fit import personalize_user
from personalize.forms import form_of
from personalize.geometry import Geometry
from personalize.model import load_model
from personalize.networks import SpatialLstm, streamed
from personalize.recipe import load, override
from personalize.reference import TorchRuntime, deployed_form
from personalize.report import read_report
from simulate.recording import to_session
from simulate.wearer import Wearer

DONNINGS_S: Final = (480.0, 480.0, 480.0, 480.0, 120.0, 360.0)  # four train, one chooses, one tests
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


def recorded(folder: Path, wearer: int, difficulty: str) -> User:
    """The wearer's donnings, each a recording; those that are there are not made again."""
    store, name = UserStore(folder), f"sim-{wearer}-{difficulty}"
    user = store.user(name) if name in store.users() else store.create(name)
    for donning, seconds in list(enumerate(DONNINGS_S))[len(user.sessions()) :]:
        performance = Wearer(wearer, difficulty).perform(donning, duration_s=seconds)
        write_session(user.session_path(user.new_session_name()), to_session(performance))
    return user


def trained(user: User, steps: int) -> SpatialLstm:
    """The network of the newest model of `steps` steps, which is trained where there is none."""
    chosen = override(load("streaming"), {"network": "spatial_lstm", "steps": steps, "bfloat16": True})
    for number in reversed(user.slots()):
        if read_report(user.slot(number)).recipe == chosen:
            folder = user.slot(number)
            break
    else:
        folder = personalize_user(user, chosen, progress=_progress).folder
    report = read_report(folder)
    print(f"{user.id}: {report.steps} steps, test CER {report.test.percent:.1f} % (simulated)\n")
    network, _ = load_model(folder)
    assert isinstance(network, SpatialLstm)
    return network


def _progress(step: int, steps: int, loss: float) -> None:
    if step % 50 == 0:
        print(f"step {step} of {steps}, loss {loss:.2f}", file=sys.stderr)


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
    parser.add_argument("folder", type=Path, help="recordings and model, made where they are not there")
    parser.add_argument("--wearer", type=int, required=True, help="simulated; none of the base's")
    parser.add_argument("--difficulty", default="medium")
    parser.add_argument("--steps", type=int, default=600, help="updates of 8 windows; about 1.5 CPU-s each")
    parser.add_argument("--seconds", type=float, default=180.0, help="of the test recording that are read")
    parser.add_argument("--svg", type=Path)
    asked = parser.parse_args()

    torch.set_num_threads(1)
    forbid(asked.wearer)
    user = recorded(asked.folder, asked.wearer, asked.difficulty)
    network = trained(user, asked.steps)
    session = FramedSession.of(read_session(user.sessions()[-1]))
    tested = session.between(0, min(len(session.values), round(asked.seconds * FRAME_RATE_HZ)))
    whole, points = measure(network, tested)
    print(table(whole, points))
    if asked.svg is not None:
        asked.svg.write_text(picture(whole, points), encoding="utf-8")


if __name__ == "__main__":
    main()
