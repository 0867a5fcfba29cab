"""A NetworkSpec evaluated in plain NumPy: what the layers mean, for exporters and tests. Slow on purpose."""

from __future__ import annotations

from itertools import pairwise
from typing import assert_never

import numpy as np

from edge.samples import Float32
from personalize import spec


def run(network: spec.NetworkSpec, frames: Float32) -> Float32:
    """(T, W, E, F) frames from the start of a stream -> (T / stride, K) log-probabilities."""
    x = frames
    for layer in network.layers:
        x = apply(layer, x)
    return x


def apply(layer: spec.Layer, x: Float32) -> Float32:  # noqa: C901  (one case a layer)
    """One layer, its state starting at zero."""
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
        case spec.CausalConv():
            return _layer_norm(layer.norm, x + np.maximum(_causal_conv(layer, x), 0))
        case spec.SkipLstm(cell):
            return np.concatenate([_lstm(cell, x), x], -1)
        case spec.BiLstm(forward, backward):
            return np.concatenate([_lstm(forward, x), _lstm(backward, x[::-1])[::-1]], -1)
        case spec.ResidualMlp(w1, b1, w2, b2, norm):
            return _layer_norm(norm, x + np.maximum(x @ w1.T + b1, 0) @ w2.T + b2)
        case spec.Linear(weight, bias):
            return x @ weight.T + bias
        case spec.LogSoftmax():
            shifted = x - x.max(-1, keepdims=True)
            log_probs: Float32 = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            return log_probs
        case _:
            assert_never(layer)


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


def _causal_conv(layer: spec.CausalConv, x: Float32) -> Float32:
    kernel = layer.weight.shape[2]
    padded = np.concatenate([np.zeros((kernel - 1, x.shape[1]), x.dtype), x])
    taps = [padded[k : k + len(x)] @ layer.weight[:, :, k].T for k in range(kernel)]
    total: Float32 = np.sum(taps, axis=0) + layer.bias
    return total


def _lstm(cell: spec.LstmCell, x: Float32) -> Float32:
    hidden = cell.recurrent.shape[1]
    h: Float32 = np.zeros(hidden, np.float32)
    c: Float32 = np.zeros(hidden, np.float32)
    outputs: list[Float32] = []
    for row in x @ cell.input.T + cell.bias:
        gates = row + cell.recurrent @ h
        i, f, g, o = (gates[start:stop] for start, stop in pairwise(range(0, 5 * hidden, hidden)))
        c = (_sigmoid(f) * c + _sigmoid(i) * np.tanh(g)).astype(np.float32)
        h = (_sigmoid(o) * np.tanh(c)).astype(np.float32)
        outputs.append(h)
    return np.stack(outputs)


def _sigmoid(x: Float32) -> Float32:
    value: Float32 = np.float32(1) / (np.float32(1) + np.exp(-x))
    return value
