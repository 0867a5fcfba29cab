"""What the desk makes of a scenario: its front end by edge's own code, and how any runtime is run over it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge.ctc import greedy
from edge.features import HOP, N_FFT, Frames, LogSpectrogram
from edge.highpass import HighPass
from edge.manifest import Form, ModelManifest
from edge.runtimes import ModelInput, Runtime, State
from edge.samples import RATE_HZ, Bool, Float32
from edge.session import Session
from export.golden.scenarios import Scenario, of_session, rehearsed
from personalize.evaluate import emissions, sample_emissions
from personalize.features import deployed_input
from personalize.geometry import Geometry
from personalize.labels import Labels

FILTER: Final = "filter"  # the state of a high-pass in the graph: personalize/spec.py
STAGE_S: Final = (
    1.5  # of filtered samples and frames that are kept and written: past where a disturbance begins
)


class Stages(NamedTuple):
    """The first STAGE_S of what lies between samples and network."""

    filtered: Float32  # (T, W, E) microvolts
    log_power: Float32  # (N, W, E, F)
    frame_valid: Bool  # (N, W)
    network_input: Float32  # (N, W, E, F)


class Segment(NamedTuple):
    """One stretch between two resets, whole: its samples in the scenario, and the frames that they make."""

    samples: slice
    valid: Bool  # (N, W) of frames
    frames: Float32  # (N, W, E, F) network input


class Cut(NamedTuple):
    """What of a form decides what a network says, apart from rounding."""

    chunk_frames: int
    lookahead_frames: int
    whole_window: bool

    @classmethod
    def of(cls, form: Form) -> Cut:
        """Of a form; where a state is carried and nothing looked ahead, every chunk says the same."""
        exact = not form.whole_window and form.lookahead_frames == 0
        return cls(0 if exact else form.chunk_frames, form.lookahead_frames, form.whole_window)


class Reading(NamedTuple):
    """What the reference says of a golden, cut so."""

    cut: Cut
    log_probs: Float32  # (M, K), segment after segment
    whole: Float32 | None = None  # the same in one pass, where cutting must change nothing


class Golden(NamedTuple):
    """A scenario, what the front end makes of it, and what the reference says of it."""

    scenario: Scenario
    stages: Stages
    segments: tuple[Segment, ...]
    readings: tuple[Reading, ...] = ()

    @property
    def name(self) -> str:
        """The scenario's."""
        return self.scenario.name

    @property
    def labels(self) -> Labels | None:
        """What was typed, where that is known."""
        return self.scenario.labels

    @property
    def frames(self) -> Float32:
        """(N, W, E, F) network input, segment after segment."""
        return np.concatenate([segment.frames for segment in self.segments])

    def reading(self, form: Form) -> Reading | None:
        """What the reference says when it is cut as `form`."""
        return next((reading for reading in self.readings if reading.cut == Cut.of(form)), None)

    def text(self, log_probs: Float32, lookahead_frames: int, stride: int) -> list[int]:
        """The labels that emissions (M, K) decode to, each segment on its own."""
        counts = [max(0, len(segment.frames) - lookahead_frames) // stride for segment in self.segments]
        parts = np.split(log_probs, np.cumsum(counts)[:-1])
        return [label for part in parts for label in greedy(part)]


def listen(scenario: Scenario, manifest: ModelManifest) -> Golden:
    """Pass a scenario through edge's front end, as `manifest` wants it; nothing is said yet."""
    emg_uv = scenario.emg_uv
    segments, stages = [], []
    for part in scenario.segments:
        filtered, frames = _front_end(emg_uv[part], scenario.valid[part])
        network_input = deployed_input(frames, manifest)
        segments.append(Segment(part, frames.valid, network_input))
        stages.append((filtered, frames.values, frames.valid, network_input))
        del filtered, frames
    kept = round(STAGE_S * RATE_HZ)
    rows = (kept, *[(kept - N_FFT) // HOP + 1] * 3)
    first = (
        np.concatenate(parts)[:count].copy()
        for parts, count in zip(zip(*stages, strict=True), rows, strict=True)
    )
    return Golden(scenario, Stages(*first), tuple(segments))


def _front_end(emg_uv: Float32, valid: Bool) -> tuple[Float32, Frames]:
    highpass, spectrogram = HighPass(), LogSpectrogram()
    _, filtered = highpass.step(highpass.initial_state(emg_uv[0]), emg_uv)
    _, frames = spectrogram.step(spectrogram.initial_state(), filtered, valid)
    return filtered, frames


def golden_of(session: Session, manifest: ModelManifest) -> Golden:
    """A whole recording through the front end."""
    return listen(of_session(session)._replace(name=session.name), manifest)


def of_frames(name: str, frames: Float32) -> Golden:
    """A golden without samples: (N, W, E, F) network input alone."""
    valid = np.ones(frames.shape[:2], np.bool_)
    samples = np.zeros((0, *frames.shape[1:3]), np.int16)
    scenario = Scenario(name, "frames alone", samples, np.zeros(samples.shape[:2], np.bool_))
    stages = Stages(samples.astype(np.float32), frames[:0], valid[:0], frames[:0])
    return Golden(scenario, stages, (Segment(slice(0, 0), valid, frames),))


def rehearsal(manifest: ModelManifest, duration_s: float = 10.0, seed: int = 0) -> Golden:
    """A rehearsal through the front end."""
    return listen(rehearsed(duration_s, seed)._replace(name=f"rehearsal-{seed}"), manifest)


def say(runtime: Runtime, manifest: ModelManifest, golden: Golden) -> Float32:
    """Run a golden through any runtime, each segment from the initial state: emissions (M, K)."""
    geometry = Geometry.of_manifest(manifest, runtime.form)
    if runtime.form.takes == "frames":
        return np.concatenate([emissions(runtime, segment.frames, geometry) for segment in golden.segments])
    emg_uv, valid = golden.scenario.emg_uv, golden.scenario.valid
    said = []
    for part in golden.scenario.segments:
        rested = _Rested(runtime, emg_uv[part.start])
        said.append(sample_emissions(rested, emg_uv[part], valid[part], geometry))
    return np.concatenate(said)


class _Rested:
    """A runtime whose filter starts at rest at the first sample, as edge's does: an offset must not ring."""

    def __init__(self, runtime: Runtime, first_uv: Float32) -> None:
        self._runtime, self._first_uv = runtime, first_uv
        self.name, self.form = runtime.name, runtime.form

    def initial_state(self) -> State:
        names = [tensor.name for tensor in self.form.state]
        at_rest = HighPass().initial_state(self._first_uv).s.astype(np.float32)
        start = zip(names, self._runtime.initial_state(), strict=True)
        return tuple(at_rest if name == FILTER else zeros for name, zeros in start)

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        return self._runtime.run(x, state)
