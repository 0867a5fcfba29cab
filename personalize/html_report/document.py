"""An HTML page that is whole in itself: its style and skeleton; no script, no font, no file from anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
       color: #1c2024; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem }
table { border-collapse: collapse; font-size: .86rem; width: 100% }
th, td { text-align: right; padding: .18rem .5rem; border-bottom: 1px solid #e3e6ea; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg { display: block; width: 100%; height: auto; overflow: visible }
.note { color: #60676f } .wide { overflow-x: auto } .wide svg { min-width: 40rem }
.wide + .wide { margin-top: 1.2rem } summary { cursor: pointer } pre { overflow-x: auto }
.typed { font: 15px/2 monospace; overflow-wrap: anywhere }
.typed del { color: #a3001b } .typed ins { color: #7a4300; text-decoration: underline wavy }
.typed mark { color: #a3001b; background: #fde7ea; text-decoration: underline double }
@media (prefers-color-scheme: dark) {
  body { color: #e6e8ea; background: #15181b } th, td { border-color: #2d3237 }
  .note { color: #9aa2ab } .typed del { color: #ff8b98 } .typed ins { color: #f2a33a }
  .typed mark { color: #ffb3bc; background: #4a1a20 } }
"""

# Also within each picture, so that one that is taken out of its page looks the same.
PICTURE_STYLE: Final = """
svg { font-family: system-ui, sans-serif; color-scheme: light dark }
.text { font-size: 12px; fill: #4b5157 } .grid { stroke: #d5d9de; fill: none }
.line { stroke: #2f6db5; stroke-width: 2; fill: none } .dot { fill: #2f6db5 } .best { fill: #b45309 }
.cell { stroke: #8a929b } .on { font-size: 12px; fill: #1c2024 } .small { font-size: 10px }
.l0 { fill: #fff } .l1 { fill: #fdeccb } .l2 { fill: #fbd08a } .l3 { fill: #f4a261 } .l4 { fill: #ee8a6a }
.none { fill: #eef0f2 } .dark { fill: #1c2024 }
@media (prefers-color-scheme: dark) {
  .text { fill: #b6bdc5 } .grid { stroke: #3a4047 } .line { stroke: #6ea8e8 } .dot { fill: #6ea8e8 }
  .best { fill: #f2a33a } .l0 { fill: #f4f5f6 } .none { fill: #c3c8cd } }
"""


def document(title: str, parts: Iterable[str], style: str = PICTURE_STYLE) -> str:
    """The whole page around `parts`, which are HTML; `style` is what they need beyond the common one."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style>"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself where the page is narrow."""
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    return scrolled(f"<table><tr>{head}</tr>{body}</table>")


def scrolled(content: str) -> str:
    """What is too wide for a narrow page, to be scrolled by itself, with keys too."""
    return f'<div class="wide" tabindex="0">{content}</div>'


def picture(width: int, height: int, alt: str, shapes: Iterable[str]) -> str:
    """An SVG of `shapes`, read out as `alt`."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(alt)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(shapes)}</svg>'
    )


def standalone(svg: str) -> str:
    """A `picture` as a file of its own."""
    start = svg.index(">") + 1
    return f"{svg[:start]}<style>{PICTURE_STYLE}</style>{svg[start:]}\n"
