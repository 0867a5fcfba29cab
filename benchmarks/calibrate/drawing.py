"""Two kinds of picture, lines and points, side by side as SVG: enough for docs, and no dependency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

import numpy as np

from edge.samples import Float64

WIDTH: Final = 420  # of a panel, pixels
HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 52, 44  # margins around the axes
REAL, PLAIN, MARKED = "#1b1b1b", "#9a9a9a", "#d1495b"  # colours


@dataclass
class Panel:
    """A pair of axes with what is drawn on them."""

    title: str
    across: str
    up: str
    across_range: tuple[float, float]
    up_range: tuple[float, float]
    ticks: tuple[int, int]  # across, up
    _shapes: list[str] = field(default_factory=list, init=False)
    _named: list[tuple[str, str]] = field(default_factory=list, init=False)  # and its colour

    def line(self, name: str, colour: str, x: Float64, y: Float64) -> None:
        """A curve, where it is inside the axes."""
        self._named.append((name, colour))
        inside = (x >= self.across_range[0]) & (x <= self.across_range[1]) & (y >= self.up_range[0])
        at = " ".join(f"{a:.1f},{b:.1f}" for a, b in self._pixels(x[inside], y[inside]))
        self._shapes.append(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def points(self, name: str, colour: str, xy: Float64) -> None:
        """(n, 2) dots."""
        self._named.append((name, colour))
        self._shapes += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}" fill-opacity="0.7"/>'
            for a, b in self._pixels(*xy.T)
        ]

    def svg(self, left: float) -> str:
        """The panel with its left edge at `left`."""
        return "\n".join(
            [f'<g transform="translate({left:g},0)">', *self._axes(), *self._shapes, *self._legend(), "</g>"]
        )

    def _pixels(self, x: Float64, y: Float64) -> list[tuple[float, float]]:
        (x0, x1), (y0, y1) = self.across_range, self.up_range
        across = LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return [*zip(across.tolist(), down.tolist(), strict=True)]

    def _axes(self) -> list[str]:
        shapes = [_text(WIDTH / 2, 18, self.title, size=14, weight="bold")]
        shapes.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, self.across))
        shapes.append(f'<g transform="translate(14,{HEIGHT / 2:g}) rotate(-90)">{_text(0, 0, self.up)}</g>')
        (x0, x1), (y0, y1) = self.across_range, self.up_range
        across, up = np.linspace(x0, x1, self.ticks[0]), np.linspace(y0, y1, self.ticks[1])
        for (x, y), value in zip(self._pixels(across, np.full(len(across), y0)), across, strict=True):
            shapes += [_rule(x, TOP, x, y), _text(x, y + 14, f"{value:.3g}", size=10)]
        for (x, y), value in zip(self._pixels(np.full(len(up), x0), up), up, strict=True):
            shapes += [_rule(x, y, WIDTH - RIGHT, y), _text(x - 14, y + 3, f"{value:.3g}", size=10)]
        return shapes

    def _legend(self) -> list[str]:
        shapes, x = [], float(LEFT)
        for name, colour in self._named:
            shapes.append(f'<rect x="{x:g}" y="30" width="10" height="10" fill="{colour}"/>')
            shapes.append(_text(x + 14, 39, name, size=11, anchor="start"))
            x += 34 + 6.2 * len(name)  # letters of 11 pixels are about 6 wide
        return shapes


def draw(panels: Sequence[Panel]) -> str:
    """One picture of all `panels` in a row."""
    width = WIDTH * len(panels)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *(panel.svg(i * WIDTH) for i, panel in enumerate(panels)), "</svg>\n"])


def _rule(x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "middle", weight: str = "") -> str:
    style = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#333"{style}>'
        f"{escape(text)}</text>"
    )
