"""Small networks with the layers that the streaming toys lack, and one call through them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.features import POWER_FLOOR
from edge.manifest import Form, Normalization, Precision
from edge.normalize import Prior
from edge.samples import ELECTRODES, WRISTS, Float32
from personalize import spec
from personalize.forms import form_of
from personalize.front_end import front_end
from tests.edge.test_pipeline import manifest
from tests.export.toys import FRAME, random_array, random_band, random_cell, random_frames, random_norm

LOUD_UV = 100.0
CLASSES = 7


class Call(NamedTuple):
    """What one call takes."""

    x: Float32 | npt.NDArray[np.int16]
    valid: Float32 | None  # with samples
    state: tuple[Float32, ...]

    @property
    def inputs(self) -> tuple[npt.NDArray[Any], ...]:
        """In the order of a program's inputs."""
        return (self.x, *(() if self.valid is None else (self.valid,)), *self.state)


def random_tds(rng: np.random.Generator, channels: int, columns: int, kernel: int) -> spec.TdsConv:
    weight = random_array(rng, channels, channels, kernel, fan_in=channels * kernel)
    return spec.TdsConv(weight, random_array(rng, channels), random_norm(rng, channels * columns))


def windowed_network(
    seed: int, *, lookahead: int | None, hidden: int = 4, depth: int = 2
) -> spec.NetworkSpec:
    """Bidirectional LSTMs, carried ones behind a TDS convolution: what the paper's networks have."""
    rng = np.random.default_rng(seed)
    width = WRISTS * hidden
    layers: list[spec.Layer] = [random_band(rng, hidden, (-1, 0, 1))]
    layers += [] if lookahead is None else [random_tds(rng, 2, hidden, 3)]
    for inputs in (width, 2 * hidden)[:depth]:
        layers.append(
            spec.BiLstm(random_cell(rng, inputs, hidden), random_cell(rng, inputs, hidden), lookahead)
        )
    layers += [spec.DropTail(lookahead)] if lookahead else []
    layers += [
        spec.Linear(random_array(rng, CLASSES, 2 * hidden), random_array(rng, CLASSES)),
        spec.LogSoftmax(),
    ]
    return spec.NetworkSpec("windowed", tuple(layers), 1)


def with_front(
    network: spec.NetworkSpec, *, normalized: bool, uv_per_lsb: float | None = None, lookahead: int = 0
) -> spec.NetworkSpec:
    """`network` behind its front end."""
    rng = np.random.default_rng(5)
    prior = Prior(random_array(rng, *FRAME), 0.5 + np.abs(random_array(rng, *FRAME)))
    described = manifest(normalization=Normalization.of(prior) if normalized else None)
    front = front_end(described, uv_per_lsb=uv_per_lsb, lookahead=lookahead)
    assert front.floor == POWER_FLOOR
    return network._replace(layers=(front, *network.layers))


def cut(network: spec.NetworkSpec, chunk_frames: int, precision: Precision = "float32") -> Form:
    """The form of `network`, as its layers tell it."""
    front = next((layer for layer in network.layers if isinstance(layer, spec.FrontEnd)), None)
    lookaheads = [layer.lookahead for layer in network.layers if isinstance(layer, spec.BiLstm)]
    return form_of(
        network,
        chunk_frames=chunk_frames,
        whole_window=None in lookaheads,
        lookahead_frames=(lookaheads[0] if lookaheads else 0) or 0,
        takes="frames" if front is None else "samples" if front.uv_per_lsb is None else "samples_int16",
        precision=precision,
        uv_per_lsb=None if front is None else front.uv_per_lsb,
    )


def random_call(seed: int, form: Form) -> Call:
    """A chunk in the middle of a stream: a state that is not zero, frames that miss samples."""
    rng = np.random.default_rng(seed)
    state = tuple(0.1 * random_array(rng, *tensor.shape) for tensor in form.state)
    if form.takes == "frames":
        return Call(random_frames(seed, form.input_frames), None, state)
    samples = LOUD_UV * random_array(rng, form.input_samples, WRISTS, ELECTRODES)
    valid = (rng.random((form.input_frames, WRISTS)) < 0.7).astype(np.float32)
    if form.uv_per_lsb is not None:
        return Call((samples / form.uv_per_lsb).astype(np.int16), valid, state)
    return Call(samples, valid, state)
