"""What static quantization is calibrated on: the very frames of the person that trained the model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.manifest import ModelManifest, read_manifest
from edge.samples import Float32
from edge.session import read_session
from edge.store import User
from personalize.features import FramedSession
from personalize.report import PartRecord, read_report
from personalize.splits import Part

WINDOW_FRAMES: Final = 1250  # 10 s: long enough for every network's state to fill (1 s) and to be used
WINDOWS: Final = 12  # 2 min: twice what it took until the error on a validation recording fell no further


def calibration_windows(user: User, folder: Path) -> list[Float32]:
    """Network input (T, W, E, F) of the recordings that trained the model in `folder`, evenly spread.

    Never of those that chose its epoch or tested it. Raises BadInput where the model is not this user's,
    where none of its recordings is left, where one is not what it was, and where a value is not finite.
    """
    manifest = read_manifest(folder)
    if manifest.user != user.id:
        raise BadInput(
            f"{folder} is a model of user {manifest.user}; recordings of {user.id} would calibrate it "
            "for the wrong person: name a model of theirs"
        )
    there = {path.stem: path for path in user.sessions()}
    trained = [part for part in read_report(folder).parts if part.role == "train"]
    left = [part for part in trained if part.session in there]
    if not left:
        raise BadInput(
            f"none of the recordings that trained {folder} is left to calibrate with "
            f"({', '.join(part.session for part in trained)}); personalize again, or export without "
            "static quantization"
        )
    share = WINDOWS / sum(part.minutes for part in left)  # windows a minute
    windows: list[Float32] = []
    for part in left:
        frames = _network_input(there[part.session], part, manifest)
        windows += _spread(frames, max(1, round(share * part.minutes)))
    return windows


def _network_input(path: Path, record: PartRecord, manifest: ModelManifest) -> FramedSession:
    """The stretch that trained the model, as it was given to it."""
    session = FramedSession.of(read_session(path), name=path.stem)
    start = round(record.start_s * FRAME_RATE_HZ)
    part = Part(path.stem, start, start + round(record.minutes * 60 * FRAME_RATE_HZ), record.role)
    if part.stop > len(session.values):
        raise BadInput(
            f"{path} is shorter than the recording that trained the model "
            f"({len(session.values)} of {part.stop} frames); personalize again"
        )
    scheme = manifest.normalization
    prepared = part.of(session.prepared(None if scheme is None else scheme.prior))
    if not np.isfinite(prepared.values).all():
        raise BadInput(
            f"{path} gives frames that are not finite; take it out of the store and personalize again"
        )
    return prepared


def _spread(session: FramedSession, count: int) -> list[Float32]:
    """`count` windows over a recording, the first at its start and the last at its end."""
    last = max(0, len(session.values) - WINDOW_FRAMES)
    count = min(count, 1 + last // WINDOW_FRAMES)  # they need not overlap
    starts = np.linspace(0, last, count).round().astype(int)
    return [session.values[start : start + WINDOW_FRAMES].astype(np.float32) for start in starts]
