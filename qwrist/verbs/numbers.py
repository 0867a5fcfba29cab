"""Numbers on the command line: finite, in their range, or refused before anything begins."""

from __future__ import annotations

from edge.errors import BadInput


def check_number(option: str, value: float | None, *, most: float, least: float | None = None) -> None:
    """Raise BadInput unless `value` lies in `least` to `most`; without `least` it must be more than 0.

    None, an option that was left out, passes. NaN and infinity lie in no range.
    """
    if value is None or (0 < value <= most if least is None else least <= value <= most):
        return
    expected = f"more than 0 and at most {most:g}" if least is None else f"{least:g} to {most:g}"
    raise BadInput(f"{option} is {value:g}; expected {expected}")
