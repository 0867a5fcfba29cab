"""A small decoder as bytes, as a bundle, and as a function that is quick to run."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from edge.bundle import OpenBundle, read_bundle
from edge.charset import CHARSET
from edge.manifest import Form, TensorSpec
from edge.runtimes import ModelInput, State
from edge.samples import Float32
from edge.trust import TrustStore
from export.bundle import writing_bundle
from firmware_bridge.device.tensors import Calls
from tests.export.phone.making import Cut, form, make_folder

FORM = Form(chunk_frames=2, state=(TensorSpec(name="h_1", shape=(3,)), TensorSpec(name="h_2", shape=(2,))))
CALLS = Calls(FORM, rows=1)
SHA256 = bytes(range(32))


def answered(x: ModelInput, state: State) -> tuple[Float32, State]:
    """Every bit of the inputs and of the state decides every number that comes out."""
    arrays = (*(x if isinstance(x, tuple) else (x,)), *state)
    mixed = np.float32(zlib.crc32(b"".join(array.tobytes() for array in arrays)) % 65_521)
    log_probs = np.arange(CHARSET.num_classes, dtype=np.float32)[None] + mixed
    return log_probs, tuple((array + mixed).astype(array.dtype) for array in state)


def frames(seed: int) -> Float32:
    """What one call takes."""
    return np.random.default_rng(seed).standard_normal((2, 2, 16, 33)).astype(np.float32)


def bundle_of_two(folder: Path) -> OpenBundle:
    """A decoder of frames, and the same of int16 samples, whose filter starts at rest."""
    trust = TrustStore(folder / "keys")
    with writing_bundle(folder / "bundle", "phone", trust) as inside:
        cuts = [Cut("litert", form()), Cut("litert", form(takes="samples_int16", uv_per_lsb=0.2))]
        make_folder(inside, cuts)
    return read_bundle(folder / "bundle", trust.trusted())
