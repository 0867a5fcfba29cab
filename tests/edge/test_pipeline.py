"""The pipeline: chunk sizes change nothing, the past is not rewritten, times are the signal's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.beam import Beam
from edge.charset import CHARSET
from edge.decoder import Decoder, Greedy, decode_all
from edge.errors import BadInput
from edge.manifest import Form, ModelManifest, Normalization, TensorSpec
from edge.normalize import Prior
from edge.pipeline import HeardKey, Pipeline, Reading, Stage, StageClock, follow, listen
from edge.runtimes.protocol import ModelInput, State, frames_of
from edge.samples import RATE_HZ, Float32, SampleChunk, SourceInfo

SHAPE = (2, 16, 33)
CHUNK_FRAMES, STRIDE, DELAY = 4, 2, 12
FORM = Form(chunk_frames=CHUNK_FRAMES, state=(TensorSpec(name="leak", shape=(CHARSET.num_classes,)),))


class LeakyRuntime:
    """A tiny recurrent network: random projection of the frames into a leaky state, log-softmax of it."""

    name = "leaky"

    def __init__(self, lookahead_frames: int = 0) -> None:
        self.form = FORM.model_copy(update={"lookahead_frames": lookahead_frames})
        rng = np.random.default_rng(5)
        self.weights = rng.normal(0, 0.2, (np.prod(SHAPE), CHARSET.num_classes)).astype(np.float32)

    def initial_state(self) -> State:
        return (np.zeros(CHARSET.num_classes, np.float32),)

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        (leak,) = state
        frames = frames_of(x, self.name)[: self.form.chunk_frames]
        rows = []
        for pair in frames.reshape(-1, STRIDE, int(np.prod(SHAPE))).mean(1):
            leak = 0.7 * leak + pair @ self.weights
            rows.append(leak - np.logaddexp.reduce(leak))
        return np.stack(rows).astype(np.float32), (leak.astype(np.float32),)


def manifest(**changes: object) -> ModelManifest:
    prior = Prior(np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32))
    values = {
        "user": "ada",
        "network": "leaky",
        "created": "2026-01-01T00:00:00Z",
        "simulated": True,
        "sides": ("left", "right"),
        "normalization": Normalization.of(prior),
        "stride": STRIDE,
        "label_delay_frames": DELAY,
        "form": FORM,
    }
    return ModelManifest(**(values | changes))


def signal(samples: int, seed: int = 0) -> SampleChunk:
    rng = np.random.default_rng(seed)
    emg = (rng.normal(0, 5, (samples, 2, 16)) + 300).astype(np.float32)
    times = 100.0 + np.arange(samples) / RATE_HZ
    return SampleChunk(0, times, emg, np.ones((samples, 2), np.bool_))


def cut(chunk: SampleChunk, at: list[int]) -> list[SampleChunk]:
    edges = [0, *sorted(set(at)), len(chunk.emg_uv)]
    return [
        SampleChunk(a, chunk.time_s[a:b], chunk.emg_uv[a:b], chunk.valid[a:b]) for a, b in pairwise(edges)
    ]


def decode(pieces: list[SampleChunk], pipeline: Pipeline | None = None) -> list[HeardKey]:
    pipeline = pipeline or Pipeline(manifest(), LeakyRuntime())
    state, keys = pipeline.initial_state(), []
    for piece in pieces:
        state, more = pipeline.step(state, piece)
        keys += more
    return keys


WHOLE = decode([signal(6000)])


def test_the_signal_makes_it_speak() -> None:
    assert len({key.label for key in WHOLE}) > 5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 5999), max_size=12))
def test_chunk_sizes_change_nothing(at: list[int]) -> None:
    keys = decode(cut(signal(6000), at))
    assert [key.label for key in keys] == [key.label for key in WHOLE]
    assert np.allclose([key.press_s for key in keys], [key.press_s for key in WHOLE], atol=1e-9)


def test_the_future_does_not_change_the_past() -> None:
    chunk = signal(6000)
    chunk.emg_uv[4000:] *= 50
    heard_before = 100.0 + 4000 / RATE_HZ
    past = [key for key in WHOLE if key.heard_s < heard_before]
    assert [key for key in decode([chunk]) if key.heard_s < heard_before] == past
    assert past


def test_a_key_is_never_heard_before_its_samples_are_there() -> None:
    pipeline = Pipeline(manifest(), LeakyRuntime())
    state = pipeline.initial_state()
    for piece in cut(signal(6000), list(range(7, 6000, 61))):
        state, keys = pipeline.step(state, piece)
        assert all(key.heard_s <= piece.time_s[-1] + 1.5 / RATE_HZ for key in keys)


def test_times_are_the_delay_apart() -> None:
    wait_s = (DELAY * 16 + (STRIDE - 1) * 16 + 64 - 1) / RATE_HZ
    assert np.allclose([key.heard_s - key.press_s for key in WHOLE], wait_s, atol=1e-3)


def test_an_absent_band_does_not_matter() -> None:
    chunk = signal(6000)
    chunk.valid[:, 1] = False
    other = SampleChunk(0, chunk.time_s, chunk.emg_uv.copy(), chunk.valid)
    other.emg_uv[:, 1] = 0
    assert decode([chunk]) == decode([other])


@pytest.mark.parametrize("normalized", [True, False])
def test_what_is_missing_moves_nothing(normalized: bool) -> None:
    changes = {} if normalized else {"normalization": None}
    chunk, other = signal(6000), signal(6000)
    for one in (chunk, other):
        one.valid[:, 1] = False
    other.emg_uv[:, 1] = 7.0
    heard = [decode([one], Pipeline(manifest(**changes), LeakyRuntime())) for one in (chunk, other)]
    assert heard[0] == heard[1]
    assert len(heard[0]) > 10


def test_a_filtered_source_is_not_filtered_again() -> None:
    filtered = Pipeline(manifest(), LeakyRuntime(), filtered=True)
    assert decode([signal(3000)], filtered) != decode([signal(3000)])
    state, _ = filtered.step(filtered.initial_state(), signal(100))
    assert state.highpass is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Form(chunk_frames=CHUNK_FRAMES, whole_window=True), "cannot type live"),
        (Form(chunk_frames=CHUNK_FRAMES, takes="samples"), "takes raw samples"),
    ],
)
def test_artifacts_that_are_not_cut_for_it_cannot_listen(form: Form, said: str) -> None:
    runtime = LeakyRuntime()
    runtime.form = form
    with pytest.raises(BadInput, match=said):
        Pipeline(manifest(), runtime)


@pytest.mark.parametrize(("lookahead", "settling"), [(0, 0), (6, 0), (0, 100), (2, 50)])
def test_lookahead_is_read_twice_and_what_has_not_settled_is_not_said(lookahead: int, settling: int) -> None:
    runtime = LeakyRuntime(lookahead)
    pipeline = Pipeline(manifest(settling_frames=settling), runtime)
    _, found = pipeline.step(pipeline.initial_state(), signal(6000))
    expected = [
        key
        for key in decode([signal(6000)])
        if key.heard_s + lookahead * 16 / RATE_HZ <= 100.0 + 5999 / RATE_HZ
    ]
    late = [key.label for key in found if key.press_s < expected[3].press_s] if settling else []
    assert len(expected) > 10
    if not settling:
        assert [(key.label, key.press_s) for key in found] == [(key.label, key.press_s) for key in expected]
        assert {round((a.heard_s - b.heard_s) * RATE_HZ) for a, b in zip(found, expected, strict=True)} == {
            16 * lookahead
        }
    else:
        assert not late
        assert found[-1].label == expected[-1].label


def test_every_stage_is_on_the_clock() -> None:
    clock = StageClock()
    pipeline = Pipeline(manifest(), LeakyRuntime())
    pipeline.step(pipeline.initial_state(), signal(4000), clock)
    assert clock.signal_s == pytest.approx(2.0)
    assert all(clock.busy_s[stage] > 0 for stage in Stage)


class _Recorded:
    info = SourceInfo("recorded", RATE_HZ, ("left", "right"), filtered=False)

    async def chunks(self) -> AsyncGenerator[SampleChunk, None]:
        for piece in cut(signal(6000), [1, 100, 3000]):
            yield piece


def test_listening_is_the_same_loop() -> None:
    async def collect() -> list[HeardKey]:
        return [key async for key in listen(Pipeline(manifest(), LeakyRuntime()), _Recorded())]

    assert [key.label for key in asyncio.run(collect())] == [key.label for key in WHOLE]


class _Remembering(LeakyRuntime):
    """The same network; it keeps what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Float32] = []

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        log_probs, state = super().run(x, state)
        self.said.append(log_probs)
        return log_probs, state


@pytest.mark.parametrize("decoder", [Greedy(), Beam(width=8, window=20)], ids=str)
def test_the_live_text_is_that_of_the_emissions_decoded_at_once(decoder: Decoder) -> None:
    runtime = _Remembering()

    async def collect() -> list[Reading]:
        pipeline = Pipeline(manifest(), runtime, decoder=decoder)
        return [reading async for reading in follow(pipeline, _Recorded())]

    readings = asyncio.run(collect())
    live = [key.label for reading in readings for key in reading.keys]
    assert live == decode_all(decoder, np.concatenate(runtime.said))
    assert len(live) > 5
    assert readings[-1].tentative == []


def test_a_key_that_was_revised_for_long_was_heard_late() -> None:
    window = 20
    pipeline = Pipeline(manifest(), LeakyRuntime(), decoder=Beam(width=8, window=window))
    state, keys = pipeline.step(pipeline.initial_state(), signal(6000))
    tentative = pipeline.tentative(state, 100.0 + 5999 / RATE_HZ)
    at_once_s = (DELAY * 16 + (STRIDE - 1) * 16 + 64 - 1) / RATE_HZ
    waits = [key.heard_s - key.press_s - at_once_s for key in keys]
    assert min(waits) > -1e-3
    assert 0.05 < max(waits) < window * STRIDE * 16 / RATE_HZ + 1e-3
    assert all(key.heard_s <= 100.0 + 6000 / RATE_HZ for key in [*keys, *tentative])
