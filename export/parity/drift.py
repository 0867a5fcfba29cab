"""Carrying state for a long time: do artifacts stay where the reference is?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge.runtimes import Runtime, State
from edge.samples import Float32, Float64

_PARTS = 20  # of a run, each with its own figure: a drift is seen as a rise


class Drift(NamedTuple):
    """What one runtime came to, one state carried through all chunks."""

    runtime: str
    chunks: int
    differing: int  # emissions of another best class
    max_delta: tuple[float, ...]  # largest |delta log p| of each part of the run, in order
    state_delta: float  # largest difference of a float state at the end, as a share of its largest value


def drift(runtimes: Sequence[Runtime], reference: Runtime, frames: Float32, chunks: int) -> tuple[Drift, ...]:
    """Run all over `frames` again and again, each on its own state, never put back."""
    states, held = [runtime.initial_state() for runtime in runtimes], reference.initial_state()
    deltas = np.zeros((len(runtimes), chunks))
    differing = [0] * len(runtimes)
    for number, chunk in zip(range(chunks), _chunks(frames, reference), strict=False):
        expected, held = reference.run(chunk, held)
        for i, runtime in enumerate(runtimes):
            said, states[i] = runtime.run(chunk, states[i])
            deltas[i, number] = np.abs(said - expected).max()
            differing[i] += int((said.argmax(-1) != expected.argmax(-1)).sum())
    return tuple(
        Drift(runtime.name, chunks, differing[i], _largest(deltas[i]), _state_delta(states[i], held))
        for i, runtime in enumerate(runtimes)
    )


def _chunks(frames: Float32, runtime: Runtime) -> Iterator[Float32]:
    """Without end: the recording over and over, cut at its last whole chunk."""
    form = runtime.form
    while True:
        for start in range(0, len(frames) - form.input_frames + 1, form.chunk_frames):
            yield frames[start : start + form.input_frames]


def _largest(deltas: Float64) -> tuple[float, ...]:
    return tuple(float(part.max()) for part in np.array_split(deltas, min(_PARTS, len(deltas))))


def _state_delta(found: State, expected: State) -> float:
    shares = [
        float(np.abs(a - b).max() / max(1e-6, np.abs(b).max()))
        for a, b in zip(found, expected, strict=True)
        if a.dtype == b.dtype
    ]
    return max(shares, default=0.0)
