"""Small networks of every layer, and a stream of them through a runtime beside what NumPy says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.features import N_FFT
from edge.manifest import Form, TensorSpec
from edge.runtimes.protocol import ModelInput, Runtime, State
from edge.samples import ELECTRODES, WRISTS, Float32
from personalize import spec, spec_numpy
from tests.export.toys import (
    random_array,
    random_band,
    random_cell,
    random_frames,
    random_mlp,
    random_norm,
)

CLASSES = 7


class Said(NamedTuple):
    """What was said of a stream, and the state after each chunk, its integers as what they stand for."""

    log_probs: Float32
    states: list[tuple[Float32, ...]]


def tds(seed: int, *, channels: int = 4, columns: int = 3, kernel: int = 5) -> spec.NetworkSpec:
    rng = np.random.default_rng(seed)
    width = channels * columns
    weight = random_array(rng, channels, channels, kernel, fan_in=channels * kernel)
    conv = spec.TdsConv(weight, random_array(rng, channels), random_norm(rng, width))
    layers = (random_band(rng, width // WRISTS, (-1, 0, 1)), conv, random_mlp(rng, width), *_head(rng, width))
    return spec.NetworkSpec("tds", layers, 1)


def latency_controlled(seed: int, lookahead: int, *, hidden: int = 4) -> spec.NetworkSpec:
    rng = np.random.default_rng(seed)
    widths = (WRISTS * hidden, 2 * hidden)
    lstms = (
        spec.BiLstm(random_cell(rng, width, hidden), random_cell(rng, width, hidden), lookahead)
        for width in widths
    )
    layers = (random_band(rng, hidden, (0,)), *lstms, spec.DropTail(lookahead), *_head(rng, 2 * hidden))
    return spec.NetworkSpec("latency-controlled", layers, 1)


def _head(rng: np.random.Generator, width: int) -> tuple[spec.Layer, ...]:
    return spec.Linear(random_array(rng, CLASSES, width), random_array(rng, CLASSES)), spec.LogSoftmax()


def frames_of(form: Form, chunks: int, seed: int) -> list[Float32]:
    """The frames of each call of a stream, lookahead included."""
    frames = random_frames(seed, chunks * form.chunk_frames + form.lookahead_frames)
    return [frames[n * form.chunk_frames :][: form.input_frames] for n in range(chunks)]


def samples_of(form: Form, chunks: int, seed: int) -> list[tuple[Float32, Float32]]:
    """Samples with an offset, and validity with gaps, of each call of a stream."""
    rng = np.random.default_rng(seed)
    hop = 16
    count = hop * (chunks * form.chunk_frames + form.lookahead_frames) + N_FFT - hop
    raw = 300 + 100 * rng.standard_normal((count, WRISTS, ELECTRODES))
    raw = (
        raw.astype(np.float32) if form.uv_per_lsb is None else np.rint(raw / form.uv_per_lsb).astype(np.int16)
    )
    valid = (rng.random((chunks * form.chunk_frames + form.lookahead_frames, WRISTS)) > 0.2).astype(
        np.float32
    )
    starts = [n * form.chunk_frames for n in range(chunks)]
    return [
        (raw[hop * start :][: form.input_samples], valid[start:][: form.input_frames]) for start in starts
    ]


def say(runtime: Runtime, calls: list[ModelInput] | list[Float32]) -> Said:
    """Carry the state from call to call."""
    state, parts, states = runtime.initial_state(), [], []
    for call in calls:
        log_probs, state = runtime.run(call, state)
        parts.append(log_probs)
        states.append(_meant(state, runtime.form.state))
    return Said(np.concatenate(parts), states)


def expected(network: spec.NetworkSpec, calls: list[ModelInput] | list[Float32]) -> Said:
    """What NumPy says of the same calls."""
    state, parts, states = spec_numpy.initial_state(network), [], []
    for call in calls:
        x, valid = call if isinstance(call, tuple) else (call, None)
        log_probs, state = spec_numpy.step(network, x, state, valid)
        parts.append(log_probs)
        states.append(state)
    return Said(np.concatenate(parts), states)


def _meant(state: State, tensors: tuple[TensorSpec, ...]) -> tuple[Float32, ...]:
    return tuple(
        value if tensor.scale is None else ((value.astype(np.float32) - tensor.zero_point) * tensor.scale)
        for value, tensor in zip(state, tensors, strict=True)
    )


def arrays(value: object) -> list[Float32]:
    """All arrays of a spec."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays(part)] if isinstance(value, tuple) else []


class Operator(NamedTuple):
    """An operator of a file: its name, its version and the types of its inputs."""

    name: str
    version: int
    types: tuple[str, ...]


def operators(content: bytes) -> list[Operator]:
    """The operators of a file, in order."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    types = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        inputs = tuple(types[graph.tensors[i].type] for i in operator.inputs if i >= 0)
        found.append(Operator(names[code.builtinCode], code.version, inputs))
    return found
