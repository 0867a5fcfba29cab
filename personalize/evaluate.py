"""What a network, or any runtime, reads from a recording, and how far that is from what was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from edge.charset import CHARSET
from edge.ctc import greedy, settled
from edge.decoder import Decode
from edge.errors import BadInput
from edge.features import HOP, FeatureState, LogSpectrogram
from edge.manifest import ModelManifest
from edge.runtimes import Runtime, State
from edge.samples import Bool, Float32
from edge.scoring import Cer, score, total
from edge.session import Session
from personalize.features import deployed_input, log_power
from personalize.geometry import Geometry
from personalize.labels import Labels, labels_of


def emissions(runtime: Runtime, frames: Float32, geometry: Geometry) -> Float32:
    """Run a whole recording (T, W, E, F) in the runtime's chunks: ((T - lookahead) // stride, K).

    State is carried from chunk to chunk. Whole windows overlap by the context that their emissions were
    trained with (`geometry.warmup` and `after`), which the neighbour says better. The last chunk is filled up
    with zeros, and what it says of them is cut off.
    """

    def read(start: int, state: State) -> tuple[Float32, State]:
        return runtime.run(_filled(frames[start:], runtime.form.input_frames), state)

    return _emissions(read, runtime, len(frames), geometry)


def sample_emissions(runtime: Runtime, emg: Float32, valid: Bool, geometry: Geometry) -> Float32:
    """The same for a runtime that takes samples: raw microvolts (N, W, E), and valid (N, W) of a session."""
    form = runtime.form
    _, found = LogSpectrogram().step(FeatureState(emg[:0], valid[:0]), np.zeros_like(emg), valid)

    def read(start: int, state: State) -> tuple[Float32, State]:
        samples = _filled(emg[start * HOP :], form.input_samples)
        if form.uv_per_lsb is not None:
            samples = np.clip(np.rint(samples / form.uv_per_lsb), -32768, 32767).astype(np.int16)
        worn = _filled(found.valid[start:].astype(np.float32), form.input_frames)
        return runtime.run((samples, worn), state)

    return _emissions(read, runtime, len(found.valid), geometry)


def _emissions(
    read: Callable[[int, State], tuple[Float32, State]], runtime: Runtime, frames: int, geometry: Geometry
) -> Float32:
    stride, form = geometry.stride, runtime.form
    before, after = geometry.warmup // stride, geometry.after // stride
    count = max(0, (frames - form.lookahead_frames) // stride)
    said = form.chunk_frames // stride
    if said <= before + after:
        raise BadInput(
            f"windows of {form.chunk_frames} frames overlap by {geometry.warmup + geometry.after}, "
            "which leaves nothing of them to say; export longer ones: --chunk-ms"
        )
    found = np.zeros((count, CHARSET.num_classes), np.float32)
    state = runtime.initial_state()
    for first in range(0, count, said - before - after):  # emissions; later chunks overwrite the overlap
        log_probs, state = read(first * stride, state)
        kept = slice(before if first else 0, count - first)
        found[first + kept.start : first + said] = log_probs[kept]
        if first + said >= count:
            break
    return settled(found, geometry.settling // stride)


def _filled(frames: Float32, count: int) -> Float32:
    """The first `count` frames, followed by zeros where there are fewer."""
    chunk = frames[:count]
    if len(chunk) == count:
        return chunk
    return np.concatenate([chunk, np.zeros((count - len(chunk), *frames.shape[1:]), np.float32)])


def score_emissions(log_probs: Float32, labels: Labels, geometry: Geometry, decode: Decode = greedy) -> Cer:
    """What `decode` reads against `labels`: of it all, or phrase by phrase where key times are not known.

    `log_probs` are a whole recording's, from its first emission on. Micro-average over labels, backspace and
    enter counting as characters.
    """
    if labels.timed:
        return score(labels.classes.tolist(), decode(log_probs))
    spans = [geometry.due(np.array([phrase.start_frame, phrase.end_frame])) for phrase in labels.phrases]
    return total(
        score(phrase.classes, decode(log_probs[max(start, 0) : end + 1]))
        for phrase, (start, end) in zip(labels.phrases, spans, strict=True)
    )


def session_emissions(runtime: Runtime, manifest: ModelManifest, session: Session) -> Float32:
    """The emissions of a recording as the device makes them, through edge's own front end."""
    frames = deployed_input(log_power(session), manifest)
    return emissions(runtime, frames, Geometry.of_manifest(manifest, runtime.form))


def evaluate(
    runtime: Runtime, manifest: ModelManifest, sessions: Iterable[Session], decode: Decode = greedy
) -> Cer:
    """The CER of a model over recordings, micro-averaged."""
    geometry = Geometry.of_manifest(manifest, runtime.form)
    return total(
        score_emissions(session_emissions(runtime, manifest, session), labels_of(session), geometry, decode)
        for session in sessions
    )
