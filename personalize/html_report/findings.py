"""What a report shows: a model heard again on every recording, and on validation without each electrode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.errors import BadInput
from edge.features import FRAME_RATE_HZ
from edge.manifest import ModelManifest, sha256_of
from edge.roll import roll
from edge.samples import ELECTRODES, SIDES, Float32, Side
from edge.session import Session, read_session
from edge.store import User
from personalize import checkpoint
from personalize.evaluate import emissions
from personalize.features import deployed_input, log_power
from personalize.geometry import Geometry
from personalize.html_report.aligned import Pair, align
from personalize.labels import Labels, Phrase, labels_of
from personalize.model import load_model
from personalize.reference import TorchRuntime, in_long_chunks
from personalize.report import FitReport, PartRecord, read_report
from personalize.splits import Role

_OCCLUDED_S: Final = 60.0  # of validation: 32 electrodes are each left out once, which bounds the time


class HeardPart(NamedTuple):
    """A stretch of a recording with its role, and what was read of it."""

    session: str
    role: Role
    minutes: float
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Findings:
    """Everything on the page."""

    model: str
    report: FitReport
    parts: tuple[HeardPart, ...]
    importance: Mapping[Side, Float32]  # (E,) nats a key that validation loses without the electrode
    hashes: Mapping[str, str]  # SHA-256 by what it is of

    def pairs(self, role: Role) -> list[Pair]:
        """The alignment of everything with `role`."""
        return [pair for part in self.parts if part.role == role for pair in part.pairs]


class _Desk(NamedTuple):
    """The model as it is evaluated."""

    runtime: TorchRuntime
    manifest: ModelManifest
    geometry: Geometry

    def frames(self, session: Session) -> Float32:
        return deployed_input(log_power(session), self.manifest)

    def hear(self, frames: Float32) -> Float32:
        return emissions(self.runtime, frames, self.geometry)


def find(user: User, folder: Path) -> Findings:
    """Look at the model in `folder` and the recordings it names. Raises BadInput where one is gone."""
    report = read_report(folder)
    network, manifest = load_model(folder)
    runtime = TorchRuntime(network, in_long_chunks(manifest.form))
    desk = _Desk(runtime, manifest, Geometry.of_manifest(manifest, runtime.form))
    hashes = {"weights": sha256_of(folder / checkpoint.FILE_NAME), "charset": CHARSET.sha256}
    parts: list[HeardPart] = []
    importance: dict[Side, Float32] = {}
    for name in dict.fromkeys(part.session for part in report.parts):
        path = user.session_path(name)
        if not path.is_file():
            raise BadInput(f"{path}, which the report tells of, is gone; restore it, or personalize anew")
        session = _as_learnt(read_session(path), next(p for p in report.parts if p.session == name))
        hashes[f"recording {name}"] = sha256_of(path)
        frames = desk.frames(session)
        log_probs, labels = desk.hear(frames), labels_of(session)
        for part in (part for part in report.parts if part.session == name):
            parts.append(_heard(part, log_probs, labels, desk.geometry))
            if part.role == "validation":  # the newest, where there are several
                importance = _importance(desk, frames, labels, part)
    return Findings(folder.name, report, tuple(parts), importance, hashes)


def _as_learnt(session: Session, part: PartRecord) -> Session:
    return replace(session, emg_uv=roll(session.emg_uv, part.turned))


def _span(part: PartRecord) -> tuple[int, int]:
    start = round(part.start_s * FRAME_RATE_HZ)
    return start, start + round(part.minutes * 60 * FRAME_RATE_HZ)


def _heard(part: PartRecord, log_probs: Float32, labels: Labels, geometry: Geometry) -> HeardPart:
    start, stop = _span(part)
    pairs = [
        pair
        for phrase in _phrases(labels, start, stop)
        for pair in align(phrase.classes, greedy(_within(log_probs, phrase, geometry)))
    ]
    return HeardPart(part.session, part.role, part.minutes, tuple(pairs))


def _phrases(labels: Labels, start: int, stop: int) -> list[Phrase]:
    """What is aligned by itself: prompts, or the whole stretch where key times are known."""
    inside = labels.between(start, stop)
    if inside.timed:
        return [Phrase(start, stop, tuple(inside.classes.tolist()))]
    return [
        p._replace(start_frame=p.start_frame + start, end_frame=p.end_frame + start) for p in inside.phrases
    ]


def _within(log_probs: Float32, phrase: Phrase, geometry: Geometry) -> Float32:
    first, last = geometry.due(np.array([phrase.start_frame, phrase.end_frame]))
    return log_probs[int(first) if phrase.start_frame > 0 else 0 : int(last) + 1]


def _importance(desk: _Desk, frames: Float32, labels: Labels, part: PartRecord) -> dict[Side, Float32]:
    """What the last minute of `part` loses, in nats a key, as each electrode is silenced in turn."""
    start, stop = _span(part)
    start = max(start, stop - round(_OCCLUDED_S * FRAME_RATE_HZ))
    cut, inside = frames[start:stop], labels.between(start, stop)
    whole = _nats_per_key(desk, cut, inside)
    found: dict[Side, Float32] = {}
    for wrist, side in enumerate(SIDES):
        if side in desk.manifest.sides:
            lost = [_nats_per_key(desk, _without(cut, wrist, e), inside) - whole for e in range(ELECTRODES)]
            found[side] = np.array(lost, np.float32)
    return found


def _without(frames: Float32, wrist: int, electrode: int) -> Float32:
    """As if the electrode had been missing: what the front end gives then is 0."""
    occluded = frames.copy()
    occluded[:, wrist, electrode] = 0
    return occluded


def _nats_per_key(desk: _Desk, frames: Float32, labels: Labels) -> float:
    """The CTC loss of `labels`: finer than a CER, which moves by whole keys."""
    log_probs = desk.hear(frames)
    phrases = _phrases(labels, 0, len(frames))
    losses = [_ctc(_within(log_probs, phrase, desk.geometry), phrase.classes) for phrase in phrases]
    return sum(losses) / max(1, sum(len(phrase.classes) for phrase in phrases))


def _ctc(log_probs: Float32, classes: tuple[int, ...]) -> float:
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(log_probs)[:, None],
        torch.tensor([classes]),
        torch.tensor([len(log_probs)]),
        torch.tensor([len(classes)]),
        blank=CHARSET.blank,
        reduction="sum",
        zero_infinity=True,
    )
    return float(loss)
