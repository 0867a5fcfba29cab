"""A NetworkSpec evaluated in plain NumPy: what the layers mean, for exporters and tests. Slow on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import assert_never

import numpy as np

from edge.features import BINS, HOP, N_FFT
from edge.samples import Float32
from personalize import spec

State = tuple[Float32, ...]


def run(network: spec.NetworkSpec, frames: Float32) -> Float32:
    """(T, W, E, F) frames from the start of a stream -> (T / stride, K) log-probabilities."""
    return step(network, frames, initial_state(network))[0]


def initial_state(network: spec.NetworkSpec) -> State:
    """Zeros, as before the first chunk."""
    return tuple(np.zeros(tensor.shape, np.float32) for tensor in spec.state_of(network))


def step(
    network: spec.NetworkSpec, frames: Float32, state: Sequence[Float32], valid: Float32 | None = None
) -> tuple[Float32, State]:
    """One chunk and the state before it -> (T', K) log-probabilities and the state after it.

    `frames` are (N, W, E) samples where the network starts with a FrontEnd; then `valid` (T, W) says which
    frames miss no sample (default: all).
    """
    x, held, after = frames, list(state), list[Float32]()
    for layer in network.layers:
        if isinstance(layer, spec.FrontEnd):
            x, new = _front_end(layer, x, held, valid)
        else:
            x, new = apply(layer, x, held)
        del held[: len(new)]
        after += new
    return x, tuple(after)


def apply(layer: spec.Layer, x: Float32, held: Sequence[Float32]) -> tuple[Float32, State]:
    """One layer: its output, and the new state of the tensors that it took from the front of `held`."""
    match layer:
        case spec.CausalConv() | spec.TdsConv():
            extended = np.concatenate([held[0], x])
            y = _causal_conv(layer, extended)
            return _layer_norm(layer.norm, x + np.maximum(y, 0)), (extended[len(x) :],)
        case spec.SkipLstm(cell):
            outputs, states = _lstm(cell, x, held[0], held[1])
            return np.concatenate([outputs, x], -1), states[-1]
        case spec.BiLstm(cell, backward, lookahead):
            zeros = np.zeros(cell.recurrent.shape[1], np.float32)
            start = (zeros, zeros) if lookahead is None else (held[0], held[1])
            outputs, states = _lstm(cell, x, *start)
            reverse = _lstm(backward, x[::-1], zeros, zeros)[0][::-1]
            kept = () if lookahead is None else states[len(x) - lookahead]
            return np.concatenate([outputs, reverse], -1), kept
        case spec.FrontEnd():
            return _front_end(layer, x, held, None)
        case _:
            return _pure(layer, x), ()


def _pure(layer: spec.Layer, x: Float32) -> Float32:
    """A layer without a state."""
    match layer:
        case spec.ElectrodeAffine(scale, shift):
            return x * scale[:, :, None] + shift[:, :, None]
        case spec.PoolTime(stride):
            pooled: Float32 = x.reshape(len(x) // stride, stride, *x.shape[1:]).mean(1)
            return pooled
        case spec.BandLinear():
            return _band_linear(layer, x)
        case spec.LayerNorm():
            return _layer_norm(layer, x)
        case spec.ResidualMlp(w1, b1, w2, b2, norm):
            return _layer_norm(norm, x + np.maximum(x @ w1.T + b1, 0) @ w2.T + b2)
        case spec.DropTail(rows):
            return x[: len(x) - rows]
        case spec.Linear(weight, bias):
            return x @ weight.T + bias
        case spec.LogSoftmax():
            shifted = x - x.max(-1, keepdims=True)
            log_probs: Float32 = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            return log_probs
        case spec.FrontEnd() | spec.CausalConv() | spec.TdsConv() | spec.SkipLstm() | spec.BiLstm():
            raise TypeError(f"{type(layer).__name__} carries a state")
        case _:
            assert_never(layer)


def _front_end(
    layer: spec.FrontEnd, samples: Float32, held: Sequence[Float32], valid: Float32 | None
) -> tuple[Float32, State]:
    hops = len(samples) // HOP
    frames = hops - (N_FFT // HOP - 1)
    x = samples.astype(np.float32) * np.float32(layer.uv_per_lsb or 1)
    x = x.reshape(hops, HOP, -1)  # (hops, 16, W * E)
    filtered, s = [], held[0].reshape(2, -1)
    filter_after = s
    for hop in range(hops):
        both = layer.hop_filter @ np.concatenate([x[hop], s])
        filtered.append(both[:HOP])
        s = both[HOP:]
        if hop + 1 == frames - layer.lookahead:
            filter_after = s
    stream = np.concatenate(filtered)  # (N, W * E)
    windows = np.stack([stream[HOP * t : HOP * t + N_FFT] for t in range(frames)])  # (T, 64, W * E)
    spectrum = layer.basis @ windows  # (T, 66, W * E)
    power = spectrum[:, :BINS] ** 2 + spectrum[:, BINS:] ** 2
    y = np.log10(power + np.float32(layer.floor)).transpose(0, 2, 1).reshape(frames, *samples.shape[1:], BINS)
    mask = np.ones((frames, samples.shape[1]), np.float32) if valid is None else valid
    after = (filter_after.reshape(held[0].shape),)
    if layer.norm is None:
        return y * mask[:, :, None, None], after
    y, norm_after = _running_norm(layer.norm, layer.lookahead, y, mask, held[1:4])
    return y, after + norm_after


def _running_norm(
    start: spec.NormStart, lookahead: int, y: Float32, mask: Float32, held: Sequence[Float32]
) -> tuple[Float32, State]:
    """As edge/normalize.py, in float32 and without branches; the state is relative to `start`."""
    mean, variance = held[0] + start.mean, held[1] + start.variance
    weight = held[2] + np.float32(start.prior_frames)
    out = np.empty_like(y)
    after: State = tuple(held)
    for t in range(len(y)):
        v = mask[t][:, None, None]
        weight = np.minimum(weight + mask[t], np.float32(start.horizon_frames))
        share = v / weight[:, None, None]
        before = y[t] - mean
        mean = mean + share * before
        rest = y[t] - mean
        variance = variance + share * (before * rest - variance)
        out[t] = v * rest / np.sqrt(np.maximum(variance, np.float32(start.variance_floor)))
        if t + 1 == len(y) - lookahead:
            after = (
                mean - start.mean,
                variance - start.variance,
                weight - np.float32(start.prior_frames),
            )
    return out, after


def _band_linear(layer: spec.BandLinear, x: Float32) -> Float32:
    wrists = []
    for wrist in range(x.shape[1]):
        rolled = [
            np.maximum(
                np.tensordot(np.roll(x[:, wrist], offset, axis=1), layer.weight[wrist], ([1, 2], [1, 2]))
                + layer.bias[wrist],
                0,
            )
            for offset in layer.offsets
        ]
        wrists.append(np.mean(rolled, axis=0))  # (T, H)
    return np.concatenate(wrists, -1)


def _layer_norm(layer: spec.LayerNorm, x: Float32) -> Float32:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    normalized: Float32 = centred / deviation * layer.gamma + layer.beta
    return normalized


def _causal_conv(layer: spec.CausalConv | spec.TdsConv, extended: Float32) -> Float32:
    """(k - 1 + T, D) -> (T, D); a TDS plane is D as channels x columns."""
    channels, _, kernel = layer.weight.shape
    planes = extended.reshape(len(extended), channels, -1)  # (k - 1 + T, C, columns)
    rows = len(extended) - kernel + 1
    taps = [np.einsum("oc,tcj->toj", layer.weight[:, :, k], planes[k : k + rows]) for k in range(kernel)]
    total: Float32 = np.sum(taps, axis=0) + layer.bias[:, None]
    return total.reshape(rows, -1)


def _lstm(
    cell: spec.LstmCell, x: Float32, h: Float32, c: Float32
) -> tuple[Float32, list[tuple[Float32, Float32]]]:
    """(T, D) and h, c -> (T, H), and (h, c) before the first row and after each."""
    hidden = cell.recurrent.shape[1]
    states = [(h, c)]
    for row in x @ cell.input.T + cell.bias:
        gates = row + cell.recurrent @ h
        i, f, g, o = (gates[start:stop] for start, stop in pairwise(range(0, 5 * hidden, hidden)))
        c = (_sigmoid(f) * c + _sigmoid(i) * np.tanh(g)).astype(np.float32)
        h = (_sigmoid(o) * np.tanh(c)).astype(np.float32)
        states.append((h, c))
    return np.stack([h for h, _ in states[1:]]), states


def _sigmoid(x: Float32) -> Float32:
    value: Float32 = np.float32(1) / (np.float32(1) + np.exp(-x))
    return value
