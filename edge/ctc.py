"""Greedy CTC decoding, streaming: a key is said at the first emission of its run."""

from __future__ import annotations

from typing import Final, NamedTuple

from edge.charset import CHARSET
from edge.samples import Float32

_SILENCE: Final = -100.0  # log-probability of what is not said; finite, so that differences stay numbers


class DecoderState(NamedTuple):
    """Where the decoder stands: the class of the last emission and how many emissions it has seen."""

    previous: int = CHARSET.blank
    emissions: int = 0


class Decoded(NamedTuple):
    """One key, and the emission (counted from the start of the stream) that said it."""

    label: int
    emission: int


def greedy_step(state: DecoderState, log_probs: Float32) -> tuple[DecoderState, list[Decoded]]:
    """Decode (T, K) emissions that follow on `state`. Graves et al. 2006, section 3.2 (best path)."""
    previous, start = state
    decoded = []
    for t, label in enumerate(log_probs.argmax(-1).tolist()):
        if label != previous and label != CHARSET.blank:
            decoded.append(Decoded(label, start + t))
        previous = label
    return DecoderState(previous, start + len(log_probs)), decoded


def greedy(log_probs: Float32) -> list[int]:
    """The labels of a whole stream of (T, K) emissions."""
    return [key.label for key in greedy_step(DecoderState(), log_probs)[1]]


def settled(log_probs: Float32, count: int) -> Float32:
    """`log_probs` (T, K) with the first `count` rows a certain blank: what settles says nothing yet."""
    if count <= 0:
        return log_probs
    found = log_probs.copy()
    found[:count] = _SILENCE
    found[:count, CHARSET.blank] = 0.0
    return found
