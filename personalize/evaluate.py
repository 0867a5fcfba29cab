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
from personalize.features import deployed_input, log_power
from personalize.geometry import Geometry
from personalize.labels import Labels, labels_of


def emissions(runtime: Runtime, frames: Float32, geometry: Geometry, chunk_frames: int) -> Float32:
    """Run a whole recording (T, W, E, F) in the artifact's chunks: ((T - context) // stride, K).

    State is carried from chunk to chunk; chunks overlap by the frames that a network consumes, and whole
    windows also by the context that their emissions were trained with (`geometry.warmup` and `after`), which
    the neighbour says better. The last chunk is filled up with zeros, and what it says of them is cut off.
    """
    stride, context = geometry.stride, geometry.left_context + geometry.lookahead
    before, after = geometry.warmup // stride, geometry.after // stride
    count = max(0, (len(frames) - context) // stride)
    said = (chunk_frames - context) // stride
    found = np.zeros((count, CHARSET.num_classes), np.float32)
    state = runtime.initial_state()
    for first in range(0, count, said - before - after):  # emissions; later chunks overwrite the overlap
        log_probs, state = runtime.run(_filled(frames[first * stride :], chunk_frames), state)
        kept = slice(before if first else 0, count - first)
        found[first + kept.start : first + said] = log_probs[kept]
        if first + said >= count:
            break
    return found


def _filled(frames: Float32, count: int) -> Float32:
    """The first `count` frames, followed by zeros where there are fewer."""
    chunk = frames[:count]
    if len(chunk) == count:
        return chunk
    return np.concatenate([chunk, np.zeros((count - len(chunk), *frames.shape[1:]), np.float32)])


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
    frames = deployed_input(log_power(session), manifest)
    return emissions(runtime, frames, Geometry.of_manifest(manifest), manifest.chunk_frames)


def evaluate(runtime: Runtime, manifest: ModelManifest, sessions: Iterable[Session]) -> Cer:
    """The CER of a model over recordings, micro-averaged."""
    geometry = Geometry.of_manifest(manifest)
    return total(
        score_emissions(session_emissions(runtime, manifest, session), labels_of(session), geometry)
        for session in sessions
    )
