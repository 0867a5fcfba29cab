"""The front end in the graph: raw samples to the frames that a network takes.

Letters: T time (frames), W wrist, E electrode, F bin, S the W * E signals, n hops of 16 samples.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edge.features import BINS, HOP, N_FFT
from edge.samples import ELECTRODES, WRISTS, Float32, Float64
from export.tflite import ops
from export.tflite.carried import Carried
from export.tflite.graph import Graph, Kind, Tensor
from personalize import spec

_SIGNALS = WRISTS * ELECTRODES


def lower_front_end(
    graph: Graph, layer: spec.FrontEnd, samples: Tensor, valid: Tensor, carried: Carried
) -> Tensor:
    """(N, W, E) samples and valid (T, W) -> (T, W, E, F), 0 where not valid."""
    if layer.uv_per_lsb is not None:
        microvolts = ops.cast(graph, samples)
        samples = ops.multiply(graph, microvolts, ops.number(graph, layer.uv_per_lsb))
    frames = valid.shape[0]
    signals = ops.transpose(graph, ops.reshape(graph, samples, (samples.shape[0], _SIGNALS)), (1, 0))
    filtered = _high_pass(graph, layer, signals, frames - layer.lookahead, carried)  # (S, N)
    x = _log_power(graph, layer, filtered)  # (T, W, E, F)
    if layer.norm is None:
        return ops.multiply(graph, x, ops.reshape(graph, valid, (frames, WRISTS, 1, 1)))
    return _running_norm(graph, layer.norm, x, valid, frames - layer.lookahead, carried)


def _high_pass(
    graph: Graph, layer: spec.FrontEnd, signals: Tensor, kept_hops: int, carried: Carried
) -> Tensor:
    """(S, N) -> (S, N). The filter's state before each hop is one product, so no hop waits for another."""
    hops = signals.shape[1] // HOP
    from_samples, to_state = layer.hop_filter[:HOP, :HOP], layer.hop_filter[HOP:, :HOP]
    from_state, transition = layer.hop_filter[:HOP, HOP:], layer.hop_filter[HOP:, HOP:]
    powers = [np.linalg.matrix_power(transition.astype(np.float64), n) for n in range(hops + 1)]
    _, held = carried.take(None)  # (2, W, E)
    start = ops.transpose(graph, ops.reshape(graph, held, (2, _SIGNALS)), (1, 0))  # (S, 2)
    x = ops.reshape(graph, signals, (_SIGNALS * hops, HOP))
    driven = ops.reshape(graph, _matrix(graph, x, to_state), (_SIGNALS, 2 * hops))
    states = ops.add(
        graph, _matrix(graph, driven, _accumulated(powers)), _matrix(graph, start, np.concatenate(powers))
    )  # (S, 2 (n + 1)): before the first hop, and after each
    before = ops.reshape(graph, ops.take(graph, states, 1, 0, 2 * hops), (_SIGNALS * hops, 2))
    y = ops.add(graph, _matrix(graph, x, from_samples), _matrix(graph, before, from_state))
    after = ops.transpose(graph, ops.take(graph, states, 1, 2 * kept_hops, 2 * kept_hops + 2), (1, 0))
    carried.leave(ops.reshape(graph, after, held.shape))
    return ops.reshape(graph, y, signals.shape)


def _accumulated(powers: list[Float64]) -> Float32:
    """How what each hop adds to the state rings on: (2 (n + 1), 2 n) of 2 x 2 powers of the transition."""
    hops = len(powers) - 1
    zero = np.zeros((2, 2))
    rows = [[powers[row - 1 - hop] if hop < row else zero for hop in range(hops)] for row in range(hops + 1)]
    return np.block(rows).astype(np.float32)


def _log_power(graph: Graph, layer: spec.FrontEnd, filtered: Tensor) -> Tensor:
    """(S, N) -> (T, W, E, F): a window is four hops, so its spectrum is a convolution over hops."""
    hops = filtered.shape[1] // HOP
    taps = N_FFT // HOP
    frames = hops - taps + 1
    filters = np.ascontiguousarray(layer.basis.reshape(2 * BINS, taps, 1, HOP))
    silent = graph.constant(np.zeros(2 * BINS, np.float32))
    image = ops.reshape(graph, filtered, (_SIGNALS, hops, 1, HOP))
    kind = Kind((_SIGNALS, frames, 1, 2 * BINS))
    spectrum = ops.convolution(graph, image, graph.constant(filters), silent, kind, version=1, relu=False)
    real, imaginary = ops.split(graph, ops.reshape(graph, spectrum, (_SIGNALS, frames, 2 * BINS)), 2, 2)
    power = ops.add(
        graph, ops.multiply(graph, real, real), ops.multiply(graph, imaginary, imaginary)
    )  # (S, T, F)
    logarithm = ops.log(graph, ops.add(graph, power, ops.number(graph, layer.floor)))
    decades = ops.multiply(graph, logarithm, ops.number(graph, 1 / math.log(10)))
    return ops.reshape(graph, ops.transpose(graph, decades, (1, 0, 2)), (frames, WRISTS, ELECTRODES, BINS))


class _Statistics(NamedTuple):
    """Mean and variance (1, W, E, F) at a frame."""

    mean: Tensor
    variance: Tensor


def _running_norm(
    graph: Graph, start: spec.NormStart, x: Tensor, valid: Tensor, kept: int, carried: Carried
) -> Tensor:
    """edge/normalize.py without branches: (T, W, E, F) and valid (T, W) -> (T, W, E, F)."""
    frames = x.shape[0]
    origin = _Statistics(graph.constant(start.mean[None]), graph.constant(start.variance[None]))
    held = [ops.reshape(graph, carried.take(None)[1], part.shape) for part in origin]
    now = _Statistics(*(ops.add(graph, part, first) for part, first in zip(held, origin, strict=True)))
    weight, kept_weight = _weights(graph, start, valid, kept, carried)
    share = ops.reshape(graph, ops.divide(graph, valid, weight), (frames, WRISTS, 1, 1))
    rests, seen = [], []
    for t in range(frames):
        rest, now = _follow(graph, now, ops.take(graph, x, 0, t, t + 1), ops.take(graph, share, 0, t, t + 1))
        rests.append(rest)
        seen.append(now)
    for part, first in zip(seen[kept - 1], origin, strict=True):
        carried.leave(ops.reshape(graph, ops.subtract(graph, part, first), first.shape[1:]))
    carried.leave(kept_weight)
    variance = ops.concatenate(graph, [statistics.variance for statistics in seen], 0)
    floored = ops.larger(graph, variance, ops.number(graph, start.variance_floor))
    scale = ops.multiply(
        graph, ops.reciprocal_root(graph, floored), ops.reshape(graph, valid, (frames, WRISTS, 1, 1))
    )
    return ops.multiply(graph, ops.concatenate(graph, rests, 0), scale)


def _follow(graph: Graph, now: _Statistics, x: Tensor, share: Tensor) -> tuple[Tensor, _Statistics]:
    """One frame's distance from the mean that includes it, and the statistics after it."""
    before = ops.subtract(graph, x, now.mean)
    mean = ops.add(graph, now.mean, ops.multiply(graph, share, before))
    rest = ops.subtract(graph, x, mean)
    change = ops.subtract(graph, ops.multiply(graph, before, rest), now.variance)
    return rest, _Statistics(mean, ops.add(graph, now.variance, ops.multiply(graph, share, change)))


def _weights(
    graph: Graph, start: spec.NormStart, valid: Tensor, kept: int, carried: Carried
) -> tuple[Tensor, Tensor]:
    """Frames that the statistics stand for, at each frame (T, W); and the state (W,) that is carried on.

    Capping at each frame is capping the running count once, since a count never falls.
    """
    frames = valid.shape[0]
    _, held = carried.take(None)
    earlier = ops.add(graph, ops.reshape(graph, held, (1, WRISTS)), ops.number(graph, start.prior_frames))
    counts = _matrix(graph, ops.transpose(graph, valid, (1, 0)), np.tri(frames, dtype=np.float32))  # (W, T)
    grown = ops.add(graph, ops.transpose(graph, counts, (1, 0)), earlier)
    weight = ops.smaller(graph, grown, ops.number(graph, start.horizon_frames))
    last = ops.subtract(
        graph, ops.take(graph, weight, 0, kept - 1, kept), ops.number(graph, start.prior_frames)
    )
    return weight, ops.reshape(graph, last, (WRISTS,))


def _matrix(graph: Graph, x: Tensor, weight: Float32) -> Tensor:
    """(D, N) rows by weight (H, N), in float32 whatever the network's arithmetic."""
    stored = graph.constant(np.ascontiguousarray(weight, np.float32))
    kind = Kind((x.shape[0], len(weight)))
    return ops.fully_connected(graph, x, stored, None, kind, version=6, relu=False)
