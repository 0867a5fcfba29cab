"""What a network, or any runtime, reads from a recording, and how far that is from what was typed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.manifest import ModelManifest
from edge.runtimes import Runtime
from edge.samples import Float32
from edge.scoring import Cer, score, total
from edge.session import Session
from personalize.features import log_power, network_input
from personalize.geometry import Geometry
from personalize.labels import Labels, labels_of


def emissions(runtime: Runtime, frames: Float32, geometry: Geometry, chunk_frames: int) -> Float32:
    """Run a whole recording (T, W, E, F) in the artifact's chunks: ((T - context) // stride, K).

    State is carried from chunk to chunk; chunks overlap by the frames that a network consumes. The last one
    is filled up with zeros, and what it says of them is cut off.
    """
    context = geometry.left_context + geometry.lookahead
    count = max(0, (len(frames) - context) // geometry.stride)
    state = runtime.initial_state()
    parts = [np.zeros((0, CHARSET.num_classes), np.float32)]
    for start in range(0, count * geometry.stride, chunk_frames - context):
        chunk = frames[start : start + chunk_frames]
        if len(chunk) < chunk_frames:
            padding = np.zeros((chunk_frames - len(chunk), *frames.shape[1:]), np.float32)
            chunk = np.concatenate([chunk, padding])
        log_probs, state = runtime.run(chunk, state)
        parts.append(log_probs)
    return np.concatenate(parts)[:count]


def score_emissions(log_probs: Float32, labels: Labels, geometry: Geometry) -> Cer:
    """Greedy decoding against `labels`: of it all, or phrase by phrase where key times are not known.

    `log_probs` are a whole recording's, from its first emission on. Micro-average over labels, backspace and
    enter counting as characters.
    """
    if labels.timed:
        return score(labels.classes.tolist(), greedy(log_probs))
    first = geometry.left_context // geometry.stride
    spans = [
        geometry.due(np.array([phrase.start_frame, phrase.end_frame])) - first for phrase in labels.phrases
    ]
    return total(
        score(phrase.classes, greedy(log_probs[max(start, 0) : end + 1]))
        for phrase, (start, end) in zip(labels.phrases, spans, strict=True)
    )


def session_emissions(runtime: Runtime, manifest: ModelManifest, session: Session) -> Float32:
    """The emissions of a recording as the device makes them, through edge's own front end."""
    prior = None if manifest.normalization is None else manifest.normalization.prior
    frames = network_input(log_power(session), prior)
    return emissions(runtime, frames, Geometry.of_manifest(manifest), manifest.chunk_frames)


def evaluate(runtime: Runtime, manifest: ModelManifest, sessions: Iterable[Session]) -> Cer:
    """The CER of a model over recordings, micro-averaged."""
    geometry = Geometry.of_manifest(manifest)
    return total(
        score_emissions(session_emissions(runtime, manifest, session), labels_of(session), geometry)
        for session in sessions
    )
