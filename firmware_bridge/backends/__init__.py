"""Backends that speak bleak's API over other stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner


class Backend(NamedTuple):
    """What BleakScanner and BleakClient take as `backend`, bound to one Bluetooth stack."""

    scanner: type[BaseBleakScanner]
    client: type[BaseBleakClient]
    backlogs: list[Callable[[], int]]
    """Each tells how many notifications a link has received and not yet read. A virtual band that outruns
    real time waits for them; a radio cannot."""
    gone: Callable[[], str | None] = lambda: None
    """Why nothing will come through this stack again, and what to do; None while something may."""
