"""The front end as a layer: edge's filter, frames and normalisation as the matrices that exporters need."""

from __future__ import annotations

import numpy as np

from edge.features import BASIS, HOP, POWER_FLOOR
from edge.highpass import CUTOFF_HZ, butterworth
from edge.manifest import Form, ModelManifest
from edge.normalize import VARIANCE_FLOOR
from edge.samples import RATE_HZ, Float32
from personalize.spec import FrontEnd, NetworkSpec, NormStart


def with_front_end(network: NetworkSpec, manifest: ModelManifest, form: Form) -> NetworkSpec:
    """`network` as `form` wants it: itself for frames, behind its front end for samples."""
    if form.takes == "frames":
        return network
    front = front_end(manifest, uv_per_lsb=form.uv_per_lsb, lookahead=form.lookahead_frames)
    return network._replace(layers=(front, *network.layers))


def front_end(manifest: ModelManifest, *, uv_per_lsb: float | None = None, lookahead: int = 0) -> FrontEnd:
    """The front end of `manifest`, for raw samples that were not high-passed."""
    scheme = manifest.normalization
    norm = None
    if scheme is not None:
        variance = np.maximum(scheme.prior.std.astype(np.float64) ** 2, VARIANCE_FLOOR).astype(np.float32)
        norm = NormStart(
            scheme.prior.mean, variance, scheme.prior_frames, scheme.horizon_frames, VARIANCE_FLOOR
        )
    return FrontEnd(
        _hop_filter(), BASIS.T.astype(np.float32, order="C"), POWER_FLOOR, norm, uv_per_lsb, lookahead
    )


def _hop_filter() -> Float32:
    """The high-pass over one hop written out as a matrix: (18, 18), from (x, s) to (y, s')."""
    b, a = butterworth(CUTOFF_HZ, RATE_HZ)
    outputs = np.zeros((HOP, HOP + 2))  # each row: how (x, s) makes one output
    state = np.zeros((2, HOP + 2))
    state[:, HOP:] = np.eye(2)
    for n in range(HOP):
        # As edge/highpass.py: y = b0 x + s0, s0' = b1 x - a1 y + s1, s1' = b2 x - a2 y
        x = np.eye(HOP + 2)[n]
        outputs[n] = b[0] * x + state[0]
        state = np.stack([b[1] * x - a[1] * outputs[n] + state[1], b[2] * x - a[2] * outputs[n]])
    return np.concatenate([outputs, state]).astype(np.float32)
