"""What each choice of static int8 costs a user's streaming model, on their validation recording.

    OMP_NUM_THREADS=1 python benchmarks/static_int8.py --user ID    # a minute

The model is calibrated on the training recordings and compared with torch in the same chunks; the test
recording is not opened (docs/decisions/0005-static-int8.md).
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from edge.runtimes.litert import LiteRtRuntime
from edge.samples import Float32
from edge.session import read_session
from edge.store import User, UserStore
from export import tflite
from export.parity.measures import compare
from export.tflite import arithmetic, calibrate, lstm
from personalize.calibration import calibration_windows
from personalize.evaluate import emissions
from personalize.features import deployed_input, log_power
from personalize.geometry import Geometry
from personalize.model import load_model
from personalize.reference import TorchRuntime
from personalize.report import read_report

NO_LIMIT = 1000.0  # c of the demo's wearer reaches 566 in 90 s


class Change(NamedTuple):
    """One constant of the writer as something else."""

    what: str
    module: Any
    name: str
    value: float


CHANGES = (
    None,
    *(
        Change(f"8 bits cover {share}", calibrate, "_QUANTILE", share)
        for share in (0.99, 0.999, 0.99999, 1.0)
    ),
    *(Change(f"c up to {limit:g}", lstm, "CELL_LIMIT", limit) for limit in (4.0, 8.0, 16.0, 32.0, NO_LIMIT)),
    *(Change(f"gates up to {limit:g}", lstm, "_SATURATED", limit) for limit in (4.0, 16.0, 32.0)),
    Change("no headroom in 16 bits", arithmetic, "_HEADROOM16", 1.0),
)


def validation_frames(user: User) -> Float32:
    """The frames of the recording that chose the model's training step, as the network takes them."""
    folder = user.current()
    if folder is None:
        raise SystemExit(f"user {user.id} has no model; run: personalize --user {user.id}")
    _, manifest = load_model(folder)
    name = next(part.session for part in read_report(folder).parts if part.role == "validation")
    return deployed_input(log_power(read_session(user.session_path(name))), manifest)


def main() -> None:
    """Print a row for each change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--user", default="demo", help="whose model in use is measured (default: demo)")
    wanted = parser.parse_args().user
    if wanted not in UserStore.default().users():
        print(f"there is no user {wanted!r} to measure; make one: make demo")
        return
    user = UserStore.default().user(wanted)
    frames = validation_frames(user)
    folder = user.current()
    assert folder is not None
    network, manifest = load_model(folder)
    spec, cut = network.spec(), manifest.form.model_copy(update={"precision": "int8_static"})
    geometry = Geometry.of_manifest(manifest)
    reference = emissions(TorchRuntime(network, manifest.form), frames, geometry)
    calibration = calibration_windows(user, folder)
    print("change | mean delta | max delta | agreement % | cosine")
    for change in CHANGES:
        with ExitStack() as changed:
            if change is not None:
                changed.enter_context(patch.object(change.module, change.name, change.value))
            content, form = tflite.lower(spec, cut, calibration)
        said = emissions(LiteRtRuntime(content, form), frames, geometry)
        found = compare(reference, said)
        mean = float(np.abs(said - reference).mean())
        what = "as it is" if change is None else change.what
        print(
            f"{what} | {mean:.4f} | {found.max_delta:.2f} | {100 * found.agreement:.1f} | {found.cosine:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
