"""A small model folder to write samples for: every kind of state, and a text that is not silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.features import HOP, LogSpectrogram
from edge.highpass import HighPass
from edge.manifest import Artifact, Form, ModelManifest, RuntimeKind, Takes, sha256_of, write_manifest
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32
from export.phone import Recording
from export.shapes import form_of
from personalize import spec
from personalize.front_end import with_front_end
from tests.edge.bundle.making import make_model
from tests.export.toys import (
    random_array,
    random_band,
    random_cell,
    random_norm,
)

HIDDEN = 4
STRIDE = 2
LOUD = 6.0  # an untrained head's answers lie too close together to differ between emissions


class Cut(NamedTuple):
    """An artifact to make."""

    runtime: RuntimeKind
    form: Form


def small_network(seed: int = 0) -> spec.NetworkSpec:
    """Log power in, the charset out, mostly blank; a convolution's past and an LSTM's state."""
    rng = np.random.default_rng(seed)
    width, classes = WRISTS * HIDDEN, CHARSET.num_classes
    bias = random_array(rng, classes)
    bias[CHARSET.blank] += 8.0
    conv = spec.CausalConv(
        random_array(rng, width, width, 3, fan_in=3 * width),
        random_array(rng, width),
        random_norm(rng, width),
    )
    return spec.NetworkSpec(
        "small",
        (
            spec.PoolTime(STRIDE),
            random_band(rng, HIDDEN, (0,)),
            random_norm(rng, width),
            conv,
            spec.SkipLstm(random_cell(rng, width, HIDDEN)),
            spec.Linear(LOUD * random_array(rng, classes, width + HIDDEN), bias),
            spec.LogSoftmax(),
        ),
        STRIDE,
    )


def recording(seconds: float = 3.0, seed: int = 0) -> Recording:
    """Noise that comes and goes on an offset, through the desk's front end; a stretch of it is missing."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * RATE_HZ)
    gain_uv = 5.0 + 80.0 * (np.arange(samples) // 200 % 2)[:, None, None] * rng.random((WRISTS, ELECTRODES))
    emg = (300.0 + rng.standard_normal((samples, WRISTS, ELECTRODES)) * gain_uv).astype(np.float32)
    valid = np.ones((samples, WRISTS), np.bool_)
    valid[1000:1100, 1] = False
    highpass, spectrogram = HighPass(), LogSpectrogram()
    _, filtered = highpass.step(highpass.initial_state(emg[0]), emg)
    _, frames = spectrogram.step(spectrogram.initial_state(), filtered, valid)
    assert len(frames.values) == (samples - 64) // HOP + 1
    return Recording(emg, valid, frames.values)


def form(chunk_frames: int = 4, **changes: Any) -> Form:
    return form_of(_network(**changes), chunk_frames=chunk_frames, **changes)


def _network(takes: Takes = "frames", uv_per_lsb: float | None = None, **_: object) -> spec.NetworkSpec:
    cut = Form(chunk_frames=STRIDE, takes=takes, uv_per_lsb=uv_per_lsb)
    return with_front_end(small_network(), make_model(), cut)


def lowered(network: spec.NetworkSpec, cut: Cut, calibration: Sequence[Float32]) -> tuple[bytes, Form]:
    if cut.runtime == "executorch":
        from export import executorch

        made = executorch.lower(network, cut.form)
        return made.content, made.form
    from export import tflite

    file = tflite.lower(network, cut.form, calibration)
    return file.content, file.form


def make_folder(folder: Path, cuts: Sequence[Cut], **changes: object) -> ModelManifest:
    """A folder with model.json and an artifact for each of `cuts`, the preferred first."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = []
    for number, cut in enumerate(cuts):
        network = with_front_end(small_network(), make_model(), cut.form)
        content, found = lowered(network, cut, [recording().frames])
        path = folder / f"model_{number}.{'pte' if cut.runtime == 'executorch' else 'tflite'}"
        path.write_bytes(content)
        artifacts.append(
            Artifact(
                file=path.name, runtime=cut.runtime, sha256=sha256_of(path), bytes=len(content), form=found
            )
        )
    manifest = make_model(form=form(), stride=STRIDE, artifacts=tuple(artifacts), **changes)
    write_manifest(folder, manifest)
    return manifest
