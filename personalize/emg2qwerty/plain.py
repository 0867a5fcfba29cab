"""The paper's networks once more, in NumPy and float64, step by step as their papers say; slow on purpose.

What `personalize.networks` multiplies out is left apart here (projection, ring convolution, each rotation),
and the numbers are taken from a checkpoint's modules as they come. Sources: arXiv 2410.20081, section 4, and
the seed paper, section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from edge.samples import ELECTRODES, WRISTS, Float32, Float64
from personalize.emg2qwerty.pickled import Array

Module = Mapping[str, Array]
Modules = tuple[Module, ...]

_ROTATIONS: Final = (-1, 0, 1)  # electrodes
_EPSILON: Final = 1e-5  # torch's, of batch norm and layer norm


def plain_emissions(kind: str, modules: Modules, frames: Float32) -> Float64:
    """(T, W, E, F) log power -> (T', K) log-probabilities of the network `kind` with these modules."""
    x = _normalized(_only(modules, "running_var"), frames.astype(np.float64))
    if kind != "tds":
        x = _around_the_ring(_shaped(modules, 2, 33), _ranked(modules, 3), x)
    x = _rotated(list(_wrists(modules)), x)
    x = _lstm_encoder(modules, x) if kind == "spatial_lstm" else _tds_encoder(modules, x)
    y = _linear(_rows(modules, 99), x)
    y -= y.max(-1, keepdims=True)
    return np.asarray(y - np.log(np.exp(y).sum(-1, keepdims=True)))


def _normalized(norm: Module, x: Float64) -> Float64:
    """Each electrode by its own running statistics."""
    shape = (WRISTS, ELECTRODES, 1)
    mean, variance, weight, bias = (
        norm[name].astype(np.float64).reshape(shape)
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + _EPSILON) * weight + bias


def _around_the_ring(project: Module, conv: Module, x: Float64) -> Float64:
    """(T, W, E, F) -> (T, W, E, S): bins to features, then each electrode with its two neighbours."""
    features = _linear(project, x)
    weight = conv["weight"].astype(np.float64)  # (S, S, 3): before, at and after the electrode
    turned = [np.roll(features, 1 - tap, axis=2) for tap in range(3)]
    summed = sum(one @ weight[:, :, tap].T for tap, one in enumerate(turned))
    return np.asarray(summed + conv["bias"])


def _rotated(mlps: list[Module], x: Float64) -> Float64:
    """(T, W, E, S) -> (T, W * H): each wrist's linear map and ReLU, averaged over rotations of its band."""
    wrists = []
    for wrist, mlp in enumerate(mlps):
        turned = [np.roll(x[:, wrist], rotation, axis=1).reshape(len(x), -1) for rotation in _ROTATIONS]
        wrists.append(np.mean([np.maximum(_linear(mlp, one), 0) for one in turned], axis=0))
    return np.concatenate(wrists, -1)


def _tds_encoder(modules: Modules, x: Float64) -> Float64:
    linears, norms = iter(_all_shaped(modules, 768, 768)), iter(_layer_norms(modules, 768))
    for conv in (module for module in modules if module.get("weight", np.zeros(0)).ndim == 4):
        weight = conv["weight"][:, :, 0].astype(np.float64)  # (channel out, channel in, k)
        taps = weight.shape[2]
        planes = x.reshape(len(x), weight.shape[1], -1)  # (T, channel, width)
        windows = np.lib.stride_tricks.sliding_window_view(planes, taps, axis=0)  # (T', channel, width, k)
        y = np.einsum("tcwk,ock->tow", windows, weight) + conv["bias"][:, None]
        y = np.maximum(y, 0).reshape(len(windows), -1)
        x = _layer_normed(next(norms), y + x[taps - 1 :])
        x = _residual(linears, norms, x)
    return x


def _lstm_encoder(modules: Modules, x: Float64) -> Float64:
    lstm = _only(modules, "weight_ih_l0")
    layers = sum(name.startswith("weight_ih") and not name.endswith("reverse") for name in lstm)
    for layer in range(layers):
        forward = _lstm(lstm, f"l{layer}", x)
        backward = _lstm(lstm, f"l{layer}_reverse", x[::-1])[::-1]
        x = np.concatenate([forward, backward], -1)
    width = x.shape[1]
    x = _residual(iter(_all_shaped(modules, width, width)), iter(_layer_norms(modules, width)), x)
    return _linear(_shaped(modules, 2, width, rows=768), x)


def _lstm(lstm: Module, suffix: str, x: Float64) -> Float64:
    """One direction of one layer; torch's gates: input, forget, cell, output."""
    inward, across = (lstm[f"weight_{kind}_{suffix}"].astype(np.float64) for kind in ("ih", "hh"))
    bias = lstm[f"bias_ih_{suffix}"].astype(np.float64) + lstm[f"bias_hh_{suffix}"]
    hidden = cell = np.zeros(across.shape[1])
    said = []
    for row in x @ inward.T + bias:
        enter, forget, new, leave = np.split(row + across @ hidden, 4)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(new)
        hidden = _sigmoid(leave) * np.tanh(cell)
        said.append(hidden)
    return np.array(said)


def _residual(linears: Iterator[Module], norms: Iterator[Module], x: Float64) -> Float64:
    inner = np.maximum(_linear(next(linears), x), 0)
    return _layer_normed(next(norms), x + _linear(next(linears), inner))


def _layer_normed(norm: Module, x: Float64) -> Float64:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
    return np.asarray(centred / scale * norm["weight"] + norm["bias"])


def _linear(linear: Module, x: Float64) -> Float64:
    return np.asarray(x @ linear["weight"].astype(np.float64).T + linear["bias"])


def _sigmoid(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)))


def _only(modules: Modules, own: str) -> Module:
    return next(module for module in modules if own in module)


def _ranked(modules: Modules, rank: int) -> Module:
    return next(m for m in modules if "weight" in m and m["weight"].ndim == rank)


def _shaped(modules: Modules, rank: int, columns: int, rows: int | None = None) -> Module:
    return next(
        module
        for module in modules
        if "weight" in module
        and module["weight"].ndim == rank
        and module["weight"].shape[1] == columns
        and rows in (None, module["weight"].shape[0])
    )


def _rows(modules: Modules, rows: int) -> Module:
    return next(m for m in modules if "weight" in m and m["weight"].ndim == 2 and len(m["weight"]) == rows)


def _wrists(modules: Modules) -> Iterator[Module]:
    return (m for m in modules if "weight" in m and m["weight"].ndim == 2 and len(m["weight"]) == 384)


def _all_shaped(modules: Modules, rows: int, columns: int) -> list[Module]:
    return [m for m in modules if "weight" in m and m["weight"].shape == (rows, columns)]


def _layer_norms(modules: Modules, width: int) -> list[Module]:
    return [m for m in modules if "weight" in m and m["weight"].shape == (width,)]
