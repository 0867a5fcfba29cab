"""From a recording to what a network is given, by the very code that runs live, in slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.features import BINS, HOP, N_FFT, Frames, LogSpectrogram
from edge.highpass import HighPass
from edge.manifest import ModelManifest
from edge.normalize import Prior, RunningNorm
from edge.samples import ELECTRODES, RATE_HZ, WRISTS, Float32
from edge.session import Session
from personalize.labels import Labels, labels_of

Float16 = npt.NDArray[np.float16]

_SLICE_SAMPLES = 8 * RATE_HZ  # bounds the filter's float64 scratch to 4 MB; whole blocks of the filter
_SLICE_FRAMES = 1024  # bounds the normalisation's float32 scratch to 4 MB


def log_power(session: Session) -> Frames:
    """The log-power frames of a recording, high-passed first unless it was recorded so."""
    highpass, spectrogram = HighPass(), LogSpectrogram()
    filter_state = highpass.initial_state(session.emg_uv[0]) if len(session.emg_uv) else None
    frame_state = spectrogram.initial_state()
    count = max(0, (len(session.emg_uv) - N_FFT) // HOP + 1)
    values = np.empty((count, WRISTS, ELECTRODES, BINS), np.float32)
    found, at = np.empty((count, WRISTS), np.bool_), 0
    for start in range(0, len(session.emg_uv), _SLICE_SAMPLES):
        emg = session.emg_uv[start : start + _SLICE_SAMPLES]
        if not session.filtered and filter_state is not None:
            filter_state, emg = highpass.step(filter_state, emg)
        valid = session.valid[start : start + _SLICE_SAMPLES]
        frame_state, frames = spectrogram.step(frame_state, emg, valid)
        part = slice(at, at := at + len(frames.values))
        values[part], found[part] = frames
    return Frames(values, found)


def network_input(frames: Frames, prior: Prior | None) -> Float32:
    """What a network is given: normalised from `prior`, or log power where that is None; 0 where missing."""
    if prior is None:
        return np.where(frames.valid[:, :, None, None], frames.values, np.float32(0))
    norm = RunningNorm()
    return norm.step(norm.initial_state(prior), frames)[1]


def deployed_input(frames: Frames, manifest: ModelManifest) -> Float32:
    """`network_input` as the device makes it: by the manifest's normalisation, or none."""
    scheme = manifest.normalization
    if scheme is None:
        return network_input(frames, None)
    norm = RunningNorm(scheme.prior_frames, scheme.horizon_frames)
    return norm.step(norm.initial_state(scheme.prior), frames)[1]


@dataclass(frozen=True)
class FramedSession:
    """A recording as frames and labels, in half precision: 16 MB a minute."""

    name: str
    values: Float16  # (T, W, E, F) log power, or network input once `prepared`
    valid: npt.NDArray[np.bool_]  # (T, W)
    labels: Labels

    @classmethod
    def of(cls, session: Session, name: str | None = None) -> FramedSession:
        """Log-power frames of `session`, under its own name or another."""
        frames = log_power(session)
        return cls(name or session.name, frames.values.astype(np.float16), frames.valid, labels_of(session))

    @property
    def frames(self) -> Frames:
        """As the front end's type, in single precision."""
        return Frames(self.values.astype(np.float32), self.valid)

    def prepared(self, prior: Prior | None) -> FramedSession:
        """The same with `network_input` of its log power as values."""
        values = np.zeros_like(self.values)
        norm = RunningNorm()
        state = None if prior is None else norm.initial_state(prior)
        for start in range(0, len(values), _SLICE_FRAMES):
            part = slice(start, start + _SLICE_FRAMES)
            frames = Frames(self.values[part].astype(np.float32), self.valid[part])
            if state is None:
                values[part] = network_input(frames, None)
            else:
                state, normalized = norm.step(state, frames)
                values[part] = normalized
        return replace(self, values=values)

    def between(self, start: int, stop: int) -> FramedSession:
        """Frames start .. stop - 1 and the labels that lie wholly in them."""
        return replace(
            self,
            values=self.values[start:stop],
            valid=self.valid[start:stop],
            labels=self.labels.between(start, stop),
        )
