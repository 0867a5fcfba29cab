"""What every contender is given: the same numbers for all that take such input."""

from __future__ import annotations

import numpy as np

from edge.features import BINS
from edge.manifest import Form
from edge.runtimes import ModelInput
from edge.samples import ELECTRODES, WRISTS

_NOISE_UV = 50.0  # of raw samples: typing


def example(form: Form) -> ModelInput:
    """One call's input: normal noise."""
    rng = np.random.default_rng(0)
    if form.takes == "frames":
        return rng.standard_normal((form.input_frames, WRISTS, ELECTRODES, BINS)).astype(np.float32)
    samples = _NOISE_UV * rng.standard_normal((form.input_samples, WRISTS, ELECTRODES))
    valid = np.ones((form.input_frames, WRISTS), np.float32)
    if form.uv_per_lsb is not None:
        return (samples / form.uv_per_lsb).astype(np.int16), valid
    return samples.astype(np.float32), valid
