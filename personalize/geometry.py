"""How a network's emissions lie on the frames of a recording.

Emission e stands for frames e * stride .. (e + 1) * stride - 1 of the recording, and a key pressed at frame p
is due at emission floor((p + label_delay) / stride). A window is a run of emissions, the core, with all the
frames that those depend on: what the network consumes, and before and after it what fills its memory.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from edge.features import FRAME_RATE_HZ
from edge.manifest import Form, ModelManifest
from edge.samples import Float64
from personalize.labels import Int64
from personalize.networks import Network

# The context of a whole window's emissions in training (configs/paper.yaml: warmup_s, after_s) and so in
# decoding: windows overlap by it, and what is said inside it is left to the neighbour.
WINDOW_BEFORE_S: Final = 0.9
WINDOW_AFTER_S: Final = 0.1


class Geometry(NamedTuple):
    """In frames; `warmup`, `after` and `settling` are multiples of `stride`."""

    left_context: int
    lookahead: int
    stride: int
    label_delay: int
    warmup: int  # before the core, to fill the state
    after: int  # after it, for networks that read backwards
    settling: int = 0  # of a stream's first frames: what is said of them is dropped

    @classmethod
    def of(cls, network: Network, *, warmup_s: float = 0.0, after_s: float = 0.0) -> Geometry:
        """Of `network`; memory is filled only where the network has one in that direction."""
        remembers = network.bidirectional or len(network.initial_state(1)) > 0
        return cls(
            network.left_context,
            network.lookahead,
            network.stride,
            network.label_delay,
            warmup=_frames(warmup_s if remembers else 0.0, network.stride),
            after=_frames(after_s if network.bidirectional else 0.0, network.stride),
        )

    @classmethod
    def for_decoding(cls, network: Network, form: Form) -> Geometry:
        """To decode with `network` in `form`: whole windows overlap, a carried state needs no filling."""
        return cls._decoding(network.stride, network.label_delay, network.settling, form)

    @classmethod
    def of_manifest(cls, manifest: ModelManifest, form: Form | None = None) -> Geometry:
        """To decode with a trained network, in `form` or as its desk runs it."""
        delay, settling = manifest.label_delay_frames, manifest.settling_frames
        return cls._decoding(manifest.stride, delay, settling, form or manifest.form)

    @classmethod
    def _decoding(cls, stride: int, label_delay: int, settling: int, form: Form) -> Geometry:
        overlaps = form.whole_window
        return cls(
            left_context=0,
            lookahead=form.lookahead_frames,
            stride=stride,
            label_delay=label_delay,
            warmup=_frames(WINDOW_BEFORE_S, stride) if overlaps else 0,
            after=_frames(WINDOW_AFTER_S, stride) if overlaps else 0,
            settling=settling,
        )

    @property
    def frames_before(self) -> int:
        """Frames a window needs before those of its core."""
        return self.left_context + self.warmup

    @property
    def frames_after(self) -> int:
        """Frames a window needs after those of its core."""
        return self.lookahead + self.after

    def window_frames(self, emissions: int) -> int:
        """Frames of a window with a core of `emissions`."""
        return self.frames_before + emissions * self.stride + self.frames_after

    def due(self, press_frame: Float64) -> Int64:
        """The emission at which the network is to say a key pressed at `press_frame`."""
        return np.floor((press_frame + self.label_delay) / self.stride).astype(np.int64)

    def pressed(self, due: Int64) -> Float64:
        """The frame at which a key due at emission `due` was pressed: the middle of those that fit."""
        return np.asarray((due + 0.5) * self.stride - self.label_delay, np.float64)

    def cores(self, frames: int) -> range:
        """The emissions of a recording of `frames` whose whole context was recorded."""
        first = math.ceil(self.frames_before / self.stride)
        return range(first, max(first, (frames - self.frames_after) // self.stride))


def _frames(seconds: float, stride: int) -> int:
    return math.ceil(seconds * FRAME_RATE_HZ / stride) * stride
