"""`qwrist doctor`: does what is installed work? It runs each part; importing proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import typer

from edge.errors import QwristError
from edge.extras import require
from qwrist import ui
from qwrist.verbs.users import AsJson

FAILED = 1


class Finding(NamedTuple):
    """What one part of the installation answered."""

    part: str
    works: bool
    answer: str


def doctor(as_json: AsJson = False) -> None:
    """Run each runtime and the link once; say what to do about what fails. Exit code 1 if something does."""
    findings = [examine(part, trial) for part, trial in _TRIALS.items()]
    if as_json:
        ui.emit_json([finding._asdict() for finding in findings])
    else:
        rows = [("works" if f.works else "FAILS", f.part, f.answer) for f in findings]
        ui.table("qwrist doctor", ["", "part", "answer"], rows, words=3)
    if not all(finding.works for finding in findings):
        raise typer.Exit(FAILED)


def examine(part: str, trial: Callable[[], str]) -> Finding:
    """Try a part; any failure is a finding."""
    try:
        return Finding(part, True, trial())
    except QwristError as error:
        return Finding(part, False, str(error))
    except Exception as error:  # noqa: BLE001  (a broken installation fails in every way there is)
        return Finding(part, False, f"{type(error).__name__}: {error}")


def _store() -> str:
    from edge.store import UserStore

    store = UserStore.default()
    return f"{store.root}, {len(store.users())} users"


def _training() -> str:
    torch = require("torch", "train")
    from personalize import base

    network = base.load()
    frames = torch.zeros(1, 4, 2, 16, 33)
    log_probs, _ = network(frames, network.initial_state(1))
    return f"torch {torch.__version__}, the base says {tuple(log_probs.shape)} emissions"


def _litert() -> str:
    from qwrist.selftest import run_litert

    return run_litert()


def _executorch() -> str:
    from qwrist.selftest import run_executorch

    return run_executorch()


def _virtual_link() -> str:
    from qwrist.selftest import run_virtual_link

    return asyncio.run(run_virtual_link())


def _bluetooth() -> str:
    require("bleak", "ble")
    from firmware_bridge.scan import scan

    found = asyncio.run(scan(duration_s=3.0))
    bands = ", ".join(f"{band.name} ({band.rssi_dbm} dBm)" for band in found) or "no band in reach"
    return f"adapter works; {bands}"


_TRIALS: dict[str, Callable[[], str]] = {
    "user store": _store,
    "training": _training,
    "LiteRT": _litert,
    "ExecuTorch": _executorch,
    "virtual link": _virtual_link,
    "Bluetooth": _bluetooth,
}
