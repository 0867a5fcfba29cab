"""How far two sets of emissions are apart, in measures that blanks cannot flatter.

Most emissions are blank, so whatever is averaged over all of them flatters: a decoder with every key wrong
still agrees on four emissions in five. Agreement and cosine are therefore taken over the emissions that are
not blank on either side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.errors import QwristError
from edge.samples import Bool, Float32, Float64


class ParityFailed(QwristError):
    """An artifact does not say what the reference says."""


class Agreement(NamedTuple):
    """Two sets of (T, K) emissions compared; NaN where there is nothing to compare."""

    spoken: int  # emissions that are not blank on either side
    max_delta: float  # max |delta log p| over all emissions and classes
    rms_delta: float  # its root mean square over all of them: scale, which cosine and best class cannot see
    sum_error: float  # max |log of the sum of p|: 0 where each emission is a distribution
    cosine: float  # over spoken emissions, each row's mean removed: what all but a share of them reach
    cosine_min: float  # the worst of them
    agreement: float  # fraction of spoken emissions with the same best class


def compare(reference: Float32, actual: Float32, forgiven: float = 0.0) -> Agreement:
    """Compare (T, K) log-probabilities; `forgiven` is the share of spoken emissions that `cosine` leaves out.

    Raises ParityFailed for another number of emissions.
    """
    if reference.shape != actual.shape:
        raise ParityFailed(f"it gives emissions {actual.shape}, the reference gives {reference.shape}")
    said = spoken(reference, actual)
    cosines = cosine_rows(reference[said], actual[said])
    agreement = (
        float((reference.argmax(-1) == actual.argmax(-1))[said].mean()) if said.any() else float("nan")
    )
    return Agreement(
        spoken=int(said.sum()),
        max_delta=float(deltas(reference, actual).max(initial=0.0)),
        rms_delta=_rms(reference, actual),
        sum_error=_sum_error(actual),
        cosine=_low_quantile(cosines, forgiven),
        cosine_min=_low_quantile(cosines, 0.0),
        agreement=agreement,
    )


def _rms(reference: Float32, actual: Float32) -> float:
    with np.errstate(invalid="ignore"):
        squares = (reference.astype(np.float64) - actual) ** 2
    return float(np.sqrt(squares.mean())) if squares.size else 0.0


def _sum_error(log_probs: Float32) -> float:
    if len(log_probs) == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.abs(np.logaddexp.reduce(log_probs.astype(np.float64), axis=-1)).max())


def spoken(reference: Float32, actual: Float32) -> Bool:
    """(T,): emissions that are not blank on either side."""
    said: Bool = (reference.argmax(-1) != CHARSET.blank) | (actual.argmax(-1) != CHARSET.blank)
    return said


def deltas(reference: Float32, actual: Float32) -> Float32:
    """(T,): the largest |delta log p| of each emission; NaN and infinities stay, and fail every limit."""
    with np.errstate(invalid="ignore"):
        largest: Float32 = np.abs(reference - actual).max(-1, initial=0.0)
    return largest


def cosine_rows(reference: Float32, actual: Float32) -> Float64:
    """(T,): the cosine of each emission's log-probabilities, its mean removed: that of the logits."""
    with np.errstate(invalid="ignore"):
        a, b = (
            x.astype(np.float64) - x.mean(-1, keepdims=True, dtype=np.float64) for x in (reference, actual)
        )
        norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        # A constant row has no direction: it points where nothing else does.
        cosines: Float64 = np.sum(a * b, -1) / np.where(norms > 0, norms, np.inf)
    return cosines


def _low_quantile(values: Float64, share: float) -> float:
    """The smallest value once `share` of them, rounded down, is left out; NaN if any is, or there is none."""
    if len(values) == 0 or np.isnan(values).any():
        return float("nan")
    return float(np.sort(values)[int(share * len(values))])
