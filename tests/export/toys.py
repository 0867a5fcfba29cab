"""Small networks to lower, and untrained ones made talkative."""

from __future__ import annotations

import numpy as np
import torch

from edge.charset import CHARSET
from edge.features import BINS
from edge.manifest import Form, ModelManifest
from edge.normalize import Prior
from edge.samples import ELECTRODES, SIDES, WRISTS, Float32
from export.golden import rehearsal
from personalize import spec
from personalize.evaluate import emissions
from personalize.forms import form_of
from personalize.geometry import Geometry
from personalize.model import describe
from personalize.networks import Network, build
from personalize.reference import TorchRuntime

FRAME = (WRISTS, ELECTRODES, BINS)
BLANK_SHARE = 0.75  # of emissions, as of a decoder of typing
LOUD_HEAD = 8.0  # an untrained head's answers lie too close together to differ between frames


def random_array(rng: np.random.Generator, *shape: int, fan_in: int = 1) -> Float32:
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def random_cell(rng: np.random.Generator, width: int, hidden: int) -> spec.LstmCell:
    return spec.LstmCell(
        random_array(rng, 4 * hidden, width, fan_in=width),
        random_array(rng, 4 * hidden, hidden, fan_in=hidden),
        random_array(rng, 4 * hidden),
    )


def random_norm(rng: np.random.Generator, width: int) -> spec.LayerNorm:
    return spec.LayerNorm(random_array(rng, width), random_array(rng, width), 1e-5)


def random_band(rng: np.random.Generator, hidden: int, offsets: tuple[int, ...]) -> spec.BandLinear:
    weight = random_array(rng, WRISTS, hidden, ELECTRODES, BINS, fan_in=ELECTRODES * BINS)
    return spec.BandLinear(weight, random_array(rng, WRISTS, hidden), offsets)


def random_mlp(rng: np.random.Generator, width: int) -> spec.ResidualMlp:
    w1, w2 = (random_array(rng, width, width, fan_in=width) for _ in range(2))
    b1, b2 = (random_array(rng, width) for _ in range(2))
    return spec.ResidualMlp(w1, b1, w2, b2, random_norm(rng, width))


def small_network(
    seed: int, *, stride: int = 2, offsets: tuple[int, ...] = (0,), kernel: int = 3, hidden: int = 4
) -> spec.NetworkSpec:
    """Every layer that carries state or none, in one small causal network."""
    rng = np.random.default_rng(seed)
    width, classes = WRISTS * hidden, 7
    affine = spec.ElectrodeAffine(
        random_array(rng, WRISTS, ELECTRODES), random_array(rng, WRISTS, ELECTRODES)
    )
    conv = spec.CausalConv(
        random_array(rng, width, width, kernel, fan_in=width * kernel),
        random_array(rng, width),
        random_norm(rng, width),
    )
    layers = (
        affine,
        spec.PoolTime(stride),
        random_band(rng, hidden, offsets),
        random_norm(rng, width),
        conv,
        spec.SkipLstm(random_cell(rng, width, hidden)),
        random_mlp(rng, width + hidden),
        spec.Linear(random_array(rng, classes, width + hidden), random_array(rng, classes)),
        spec.LogSoftmax(),
    )
    return spec.NetworkSpec("small", layers, stride)


def form(network: spec.NetworkSpec, chunk_frames: int) -> Form:
    whole = any(isinstance(layer, spec.BiLstm) and layer.lookahead is None for layer in network.layers)
    return form_of(network, chunk_frames=chunk_frames, whole_window=whole)


def random_frames(seed: int, frames: int) -> Float32:
    return random_array(np.random.default_rng(seed), frames, *FRAME)


def talkative(name: str, chunk_frames: int, seed: int = 0) -> tuple[Network, ModelManifest]:
    """An untrained network whose best class varies, mostly the blank, and its manifest."""
    torch.manual_seed(seed)
    network = build(name)
    rest = Prior(np.full(FRAME, -1.0, np.float32), np.ones(FRAME, np.float32))
    prior = rest if network.frame_input == "normalized" else None
    manifest = describe(network, user="ada", simulated=True, sides=SIDES, prior=prior)
    cut = manifest.form.model_copy(update={"chunk_frames": chunk_frames})
    manifest = manifest.model_copy(update={"form": cut})
    make_talkative(network, manifest, rehearsal(manifest, duration_s=4.0).frames)
    return network, manifest


def make_talkative(network: Network, manifest: ModelManifest, frames: Float32) -> None:
    """Let the best class of what it says of `frames` vary, mostly the blank."""
    head = network.head
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.mul_(LOUD_HEAD)
        head.bias.zero_()
        log_probs = emissions(TorchRuntime(network, manifest.form), frames, Geometry.of_manifest(manifest))
        margin = log_probs[:, : CHARSET.blank].max(-1) - log_probs[:, CHARSET.blank]
        head.bias[CHARSET.blank] = float(np.quantile(margin, BLANK_SHARE))
