"""The whole product on one page: samples in, keys out, the same code live and offline.

    samples -> high-pass -> frames -> normalisation -> network -> CTC, greedy or beam -> keys

Settings are frozen, state is explicit (it can be saved, restored and sent), `step` is pure but for the clock
that it is handed. Decoding a recording is this loop over one large chunk; chunk sizes change nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from edge.charset import CHARSET
from edge.ctc import settled
from edge.decoder import Counted, Decoder, Greedy, Said
from edge.errors import BadInput
from edge.features import HOP, N_FFT, FeatureState, LogSpectrogram
from edge.highpass import HighPass, HighPassState
from edge.manifest import ModelManifest
from edge.normalize import NormState, RunningNorm
from edge.runtimes.protocol import Runtime, State
from edge.samples import RATE_HZ, Float32, SampleChunk, SampleSource


class Stage(Enum):
    """The stages, in order."""

    FILTER = "filter"
    FRAMES = "frames"
    NORMALIZE = "normalize"
    NETWORK = "network"
    DECODE = "decode"


@dataclass
class StageClock:
    """Where the time goes: seconds of processing for each stage, and of signal for them all."""

    busy_s: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(Stage, 0.0))
    signal_s: float = 0.0

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Charge what happens inside to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.busy_s[stage] += time.perf_counter() - start

    @property
    def real_time_factor(self) -> float:
        """Seconds of processing a second of signal: below 1 keeps up."""
        return sum(self.busy_s.values()) / self.signal_s if self.signal_s else 0.0


class HeardKey(NamedTuple):
    """A key that the decoder said."""

    key: str
    label: int
    press_s: float  # when it was pressed, as the network was trained to tell it; host seconds
    heard_s: float  # time of the last sample that the decision needed; host seconds


class Reading(NamedTuple):
    """What a chunk brought."""

    keys: list[HeardKey]  # decided for good
    tentative: list[HeardKey]  # said beyond all decided keys, as it stands: the next reading replaces them


class PipelineState(NamedTuple):
    """All that a stream leaves behind between two chunks."""

    highpass: HighPassState | None  # None before the first sample
    features: FeatureState
    norm: NormState | None  # None where the network takes log power
    frames: Float32  # (n, W, E, F) waiting for a full network chunk and its lookahead
    network: State
    decoder: Counted
    samples: int  # taken so far


@dataclass(frozen=True)
class Pipeline:
    """A decoder ready to listen."""

    manifest: ModelManifest
    runtime: Runtime
    filtered: bool = False  # the source is high-passed already
    decoder: Decoder = field(default_factory=Greedy)
    _highpass: HighPass = field(default_factory=HighPass, repr=False)
    _spectrogram: LogSpectrogram = field(default_factory=LogSpectrogram, repr=False)
    _norm: RunningNorm = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.runtime.form.whole_window:
            raise BadInput(
                f"{self.manifest.network} reads whole windows here and cannot type live; "
                "export it with --lookahead-ms, or personalize with --network streaming"
            )
        if self.runtime.form.takes != "frames":
            raise BadInput(
                "this artifact takes raw samples, for a phone without a front end; "
                "type with one that takes frames"
            )
        scheme = self.manifest.normalization
        norm = RunningNorm() if scheme is None else RunningNorm(scheme.prior_frames, scheme.horizon_frames)
        object.__setattr__(self, "_norm", norm)

    def initial_state(self) -> PipelineState:
        """Before the first sample."""
        features = self._spectrogram.initial_state()
        scheme = self.manifest.normalization
        _, empty = self._spectrogram.step(features, features.emg, features.valid)
        return PipelineState(
            highpass=None,
            features=features,
            norm=None if scheme is None else self._norm.initial_state(scheme.prior),
            frames=empty.values,
            network=self.runtime.initial_state(),
            decoder=self.decoder.initial_state(),
            samples=0,
        )

    def step(
        self, state: PipelineState, chunk: SampleChunk, clock: StageClock | None = None
    ) -> tuple[PipelineState, list[HeardKey]]:
        """Take the next samples; give the keys that they decide."""
        if len(chunk.emg_uv) == 0:
            return state, []
        clock = clock or StageClock()
        clock.signal_s += len(chunk.emg_uv) / RATE_HZ
        with clock.measure(Stage.FILTER):
            highpass, emg = self._filter(state.highpass, chunk.emg_uv)
        with clock.measure(Stage.FRAMES):
            features, frames = self._spectrogram.step(state.features, emg, chunk.valid)
        with clock.measure(Stage.NORMALIZE):
            norm = state.norm
            if norm is None:
                values = np.where(frames.valid[:, :, None, None], frames.values, np.float32(0))
            else:
                norm, values = self._norm.step(norm, frames)
            waiting = np.concatenate([state.frames, values])
        with clock.measure(Stage.NETWORK):
            network, waiting, log_probs = self._run(state.network, waiting)
        with clock.measure(Stage.DECODE):
            unsettled = self.manifest.settling_frames // self.manifest.stride - state.decoder.emissions
            decoder, said = self.decoder.step(state.decoder, settled(log_probs, unsettled))
        samples = state.samples + len(chunk.emg_uv)
        keys = [self._heard(key, samples, float(chunk.time_s[-1])) for key in said]
        return PipelineState(highpass, features, norm, waiting, network, decoder, samples), keys

    def tentative(self, state: PipelineState, last_s: float) -> list[HeardKey]:
        """The keys said and not decided yet; `last_s` is the host's time of the last sample taken."""
        return [self._heard(key, state.samples, last_s) for key in self.decoder.tentative(state.decoder)]

    def _filter(self, state: HighPassState | None, emg_uv: Float32) -> tuple[HighPassState | None, Float32]:
        if self.filtered:
            return None, emg_uv
        return self._highpass.step(state or self._highpass.initial_state(emg_uv[0]), emg_uv)

    def _run(self, state: State, waiting: Float32) -> tuple[State, Float32, Float32]:
        form = self.runtime.form
        emissions = [np.zeros((0, CHARSET.num_classes), np.float32)]
        while len(waiting) >= form.input_frames:
            log_probs, state = self.runtime.run(waiting[: form.input_frames], state)
            emissions.append(log_probs)
            waiting = waiting[form.chunk_frames :]
        return state, waiting.copy(), np.concatenate(emissions)

    def _heard(self, key: Said, samples: int, last_s: float) -> HeardKey:
        stride, delay = self.manifest.stride, self.manifest.label_delay_frames
        press = (key.emission * stride - delay) * HOP  # sample index, from the start of the stream
        heard = (key.decided * stride + stride - 1 + self.runtime.form.lookahead_frames) * HOP + N_FFT
        return HeardKey(
            CHARSET.keys[key.label],
            key.label,
            press_s=last_s - (samples - 1 - press) / RATE_HZ,
            heard_s=last_s - (samples - heard) / RATE_HZ,
        )


async def follow(
    pipeline: Pipeline, source: SampleSource, clock: StageClock | None = None
) -> AsyncGenerator[Reading, None]:
    """What a source is read as, chunk by chunk; at its end, what was tentative is decided."""
    state, open_ = pipeline.initial_state(), list[HeardKey]()
    async with aclosing(source.chunks()) as chunks:
        async for chunk in chunks:
            state, keys = pipeline.step(state, chunk, clock)
            if len(chunk.time_s):
                open_ = pipeline.tentative(state, float(chunk.time_s[-1]))
            yield Reading(keys, open_)
    yield Reading(open_, [])


async def listen(
    pipeline: Pipeline, source: SampleSource, clock: StageClock | None = None
) -> AsyncIterator[HeardKey]:
    """The keys of a source, as they are decided."""
    async with aclosing(follow(pipeline, source, clock)) as readings:
        async for reading in readings:
            for key in reading.keys:
                yield key
