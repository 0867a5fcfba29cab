"""The report's pictures as SVG: learning curve, keyboard, fingers, and the rings of electrodes."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Final

from edge.charset import BACKSPACE, ENTER, SHIFT, SPACE
from edge.samples import Float32, Side
from personalize.html_report.aligned import Count, Pair, by_finger, by_key, mistaken
from personalize.html_report.document import picture
from personalize.report import EvaluationRecord

_KEY: Final = 54  # of a keycap, in the picture's pixels
# A row's keys, and how far it begins to the right of the left edge, in keys (ANSI keyboards).
_ROWS: Final = (
    (0.0, (*"`1234567890-=", BACKSPACE)),
    (1.5, tuple("qwertyuiop[]\\")),
    (1.75, (*"asdfghjkl;'", ENTER)),
    (0.25, (SHIFT, *"zxcvbnm,./")),
    (4.0, (SPACE,)),
)
_WIDTHS: Final = {BACKSPACE: 1.5, ENTER: 1.75, SHIFT: 2.0, SPACE: 6.0}
_NAMES: Final = {BACKSPACE: "⌫", ENTER: "⏎", SHIFT: "⇧", SPACE: "␣"}
_LEVELS: Final = (5.0, 10.0, 20.0, 40.0)  # percent from which on a colour begins; CER from good to useless


def learning_curve(evaluations: Sequence[EvaluationRecord], best_step: int) -> str:
    """Validation CER by step, the best one marked."""
    width, height, left, bottom = 860, 220, 48, 28
    worst = max(e.validation_cer_percent for e in evaluations)
    top = 20.0 * max(1, math.ceil(worst / 20))  # so that its half is a whole number of tens
    last = max(e.step for e in evaluations) or 1

    def at(step: int, percent: float) -> tuple[float, float]:
        return left + (width - left - 16) * step / last, 10 + (height - bottom - 10) * (1 - percent / top)

    shapes = []
    for share in (0.0, 0.5, 1.0):
        y = at(0, top * share)[1]
        shapes.append(f'<path class="grid" d="M{left} {y:.1f}H{width - 16}"/>')
        shapes.append(_text(left - 6, y + 4, f"{top * share:.0f} %", "end"))
    points = [at(e.step, e.validation_cer_percent) for e in evaluations]
    shapes.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    for one, (x, y) in zip(evaluations, points, strict=True):
        kind, radius = ("best", 6) if one.step == best_step else ("dot", 3)
        shapes.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')
        shapes.append(_text(x, height - 8, str(one.step), "middle"))
    best = min(e.validation_cer_percent for e in evaluations)
    alt = f"Learning curve: validation CER over {last} steps, best {best:.1f} % at step {best_step}."
    return picture(width, height, alt, shapes)


def keyboard(pairs: Sequence[Pair]) -> str:
    """Each keycap with the share of its presses that were missed or wrong, and what it was taken for."""
    counts, taken = by_key(pairs), mistaken(pairs)
    shapes = []
    for row, (offset, keys) in enumerate(_ROWS):
        x = offset * _KEY
        for key in keys:
            width = _WIDTHS.get(key, 1.0) * _KEY
            shapes.append(_keycap(key, counts.get(key), taken.get(key), (x, row * _KEY, width)))
            x += width
    rates = {key: count.missed_or_wrong_percent for key, count in counts.items()}
    worst = sorted(((rate, key) for key, rate in rates.items() if rate), reverse=True)[:5]
    named = ", ".join(f"{_NAMES.get(key, key)} {rate:.0f} %" for rate, key in worst) or "no key has errors"
    alt = f"Keyboard coloured by errors on the test recording. Worst keys: {named}."
    return picture(round(15 * _KEY), len(_ROWS) * _KEY, alt, shapes)


def _keycap(
    key: str, count: Count | None, taken: tuple[str, int] | None, box: tuple[float, float, float]
) -> str:
    x, y, width = box
    rate = None if count is None else count.missed_or_wrong_percent
    said = "" if taken is None else f"→ {_NAMES.get(taken[0], taken[0])} {taken[1]}"
    name = _NAMES.get(key, key)
    hint = f"{name}: never typed"
    if count is not None and count.meant:
        hint = f"{name}: {count.meant} typed, {count.wrong} wrong, {count.missed} missed"
    lines = [_text(x + 6, y + 17, name, "start", "on")]
    if count is not None and rate is not None:
        lines.append(_text(x + width - 6, y + 17, f"{rate:.0f} %", "end", "on small"))
        lines.append(_text(x + width - 6, y + 30, f"of {count.meant}", "end", "on small"))
        lines.append(_text(x + 6, y + 44, said, "start", "on small"))
    return (
        f"<g><title>{html.escape(hint)}</title>"
        f'<rect class="cell {_level(rate)}" x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" '
        f'width="{width - 3:.1f}" height="{_KEY - 3}" rx="5"/>{"".join(lines)}</g>'
    )


def _level(percent: float | None) -> str:
    return "none" if percent is None else f"l{sum(percent >= level for level in _LEVELS)}"


def fingers(pairs: Sequence[Pair]) -> str:
    """Bars: the share of each finger's presses that were missed or wrong."""
    found = by_finger(pairs)
    width, line = 860, 24
    rates = {finger: count.missed_or_wrong_percent for finger, count in found.items()}
    top = max(10.0, *(rate or 0.0 for rate in rates.values()))
    shapes = []
    for index, (finger, rate) in enumerate(rates.items()):
        y, count = index * line, found[finger]
        says = "never typed" if rate is None else f"{rate:.1f} % of {count.meant}, {count.inserted} inserted"
        length = 520 * (rate or 0.0) / top
        shapes.append(_text(96, y + 16, finger, "end"))
        shapes.append(f'<rect class="dot" x="104" y="{y + 4}" width="{length:.1f}" height="16"/>')
        shapes.append(_text(112 + length, y + 16, says, "start"))
    known = ", ".join(f"{name} {rate:.0f} %" for name, rate in rates.items() if rate is not None)
    return picture(width, line * len(rates), f"Missed or wrong by finger: {known}.", shapes)


def rings(importance: Mapping[Side, Float32]) -> str:
    """The electrodes on each wrist's ring, by what is lost without them; number 0 at the top, clockwise."""
    top = max((float(lost.max()) for lost in importance.values()), default=0.0)
    shapes, spoken = [], []
    for index, (side, lost) in enumerate(importance.items()):
        centre = 170 + 340 * index
        shapes.append(f'<circle class="grid" cx="{centre}" cy="170" r="115"/>')
        shapes.append(_text(centre, 174, f"{side} wrist", "middle"))
        for electrode, value in enumerate(lost.tolist()):
            shapes.append(_electrode(centre, electrode, len(lost), value, top))
        order = sorted(range(len(lost)), key=lambda e: -float(lost[e]))[:3]
        spoken.append(f"{side}: " + ", ".join(map(str, order)))
    alt = "Electrode importance on the ring. Most needed, " + "; ".join(spoken) + "."
    return picture(max(1, len(importance)) * 340, 340, alt, shapes)


def _electrode(centre: int, electrode: int, count: int, value: float, top: float) -> str:
    turn = 2 * math.pi * electrode / count
    x, y = centre + 115 * math.sin(turn), 170 - 115 * math.cos(turn)
    share = max(0.0, value / top) if top > 0 else 0.0
    level = f"l{min(4, math.ceil(4 * share))}"
    outer = centre + 150 * math.sin(turn), 174 - 150 * math.cos(turn)
    return (
        f'<g><title>electrode {electrode}: {value:+.3f} nats a key</title><circle class="cell {level}" '
        f'cx="{x:.1f}" cy="{y:.1f}" r="17"/>{_text(x, y + 4, str(electrode), "middle", "on")}'
        f"{_text(*outer, f'{value:+.2f}', 'middle', 'text small')}</g>"
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "text") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
