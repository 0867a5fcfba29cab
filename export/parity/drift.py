"""Carrying state for a long time: does an artifact stay where the reference is?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edge.runtimes import Runtime
from edge.samples import Float32

_PARTS = 20  # of a run, each with its own figure: a drift is seen as a rise


class Drift(NamedTuple):
    """What `chunks` chunks, one state carried through all of them, came to."""

    chunks: int
    differing: int  # emissions of another best class
    max_delta: tuple[float, ...]  # largest |delta log p| of each part of the run, in order
    state_delta: float  # largest difference of a state tensor at the end, as a share of its largest value


def drift(runtime: Runtime, reference: Runtime, frames: Float32, chunks: int) -> Drift:
    """Run both over `frames` again and again, each on its own state, never put back."""
    states = runtime.initial_state(), reference.initial_state()
    found = np.zeros(chunks)
    differing = 0
    for number, chunk in zip(range(chunks), _chunks(frames, runtime), strict=False):
        said, state = runtime.run(chunk, states[0])
        expected, held = reference.run(chunk, states[1])
        states = state, held
        found[number] = np.abs(said - expected).max()
        differing += int((said.argmax(-1) != expected.argmax(-1)).sum())
    parts = np.array_split(found, min(_PARTS, chunks))
    return Drift(chunks, differing, tuple(float(part.max()) for part in parts), _state_delta(*states))


def _chunks(frames: Float32, runtime: Runtime) -> Iterator[Float32]:
    """Without end: the recording over and over, cut at its last whole chunk."""
    form = runtime.form
    while True:
        for start in range(0, len(frames) - form.input_frames + 1, form.chunk_frames):
            yield frames[start : start + form.input_frames]


def _state_delta(found: tuple[Float32, ...], expected: tuple[Float32, ...]) -> float:
    shares = [
        float(np.abs(a - b).max() / max(1e-6, np.abs(b).max()))
        for a, b in zip(found, expected, strict=True)
        if a.dtype == b.dtype
    ]
    return max(shares, default=0.0)
