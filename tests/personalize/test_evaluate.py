from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.beam import Beam
from edge.charset import CHARSET
from edge.decoder import Greedy, decode_all
from edge.edits import text_of
from edge.errors import BadInput
from edge.lm.file import english
from edge.manifest import Form
from edge.normalize import prior_from
from edge.pipeline import Pipeline
from edge.samples import KeyPress, Prompt, SampleChunk
from personalize import model
from personalize.evaluate import emissions, evaluate, score_emissions, session_emissions
from personalize.features import deployed_input, log_power, network_input
from personalize.geometry import Geometry
from personalize.labels import labels_of
from personalize.networks import NETWORKS
from personalize.reference import TorchRuntime, deployed_form, in_long_chunks
from personalize.train import initial_network
from tests.personalize.toys import START_S, toy_session


@pytest.fixture(scope="module")
def network():
    """A streaming network that says many things: its head is made louder."""
    network = initial_network("streaming", 3)
    with torch.no_grad():
        network.head.weight *= 20
    return network


def described(network, session):
    return model.describe(
        network, user="toy", simulated=True, sides=session.sides, prior=prior_from([log_power(session)])
    )


@settings(max_examples=6, deadline=None)
@given(chunk=st.integers(1, 40).map(lambda n: 2 * n))
def test_chunks_of_any_size_say_what_the_whole_says(chunk):
    network = initial_network("streaming", 3).eval()
    session = toy_session(2, 3)
    frames = network_input(log_power(session), prior_from([log_power(session)]))
    form = deployed_form(network).model_copy(update={"chunk_frames": chunk})
    with torch.inference_mode():
        whole = network(torch.from_numpy(frames[: len(frames) // 2 * 2])[None], network.initial_state(1))[0][
            0
        ]
    found = emissions(TorchRuntime(network, form), frames, Geometry.for_decoding(network, form))
    np.testing.assert_allclose(found, whole.numpy(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["tds", "tds_spatial"])
def test_a_carried_past_says_what_a_window_with_its_context_says(name):
    network = initial_network(name, 0).eval()
    frames = np.random.default_rng(0).standard_normal((220, 2, 16, 33)).astype(np.float32)
    with torch.inference_mode():
        whole = network(torch.from_numpy(frames)[None], ())[0][0].numpy()
    runtime = TorchRuntime(network, deployed_form(network).model_copy(update={"chunk_frames": 30}))
    geometry = Geometry.for_decoding(runtime.network, runtime.form)
    found = emissions(runtime, frames, geometry)
    assert len(found) == 220
    np.testing.assert_allclose(found[network.left_context :], whole, atol=1e-4)
    assert set(found[: network.left_context].argmax(-1)) == {CHARSET.blank}, "it has not settled"


@settings(max_examples=8, deadline=None)
@given(chunk=st.integers(1, 30), lookahead=st.integers(0, 20))
def test_latency_control_reads_the_lookahead_and_carries_the_forward_direction(chunk, lookahead):
    network = initial_network("spatial_lstm", 0).eval()
    frames = np.random.default_rng(0).standard_normal((60, 2, 16, 33)).astype(np.float32)
    runtime = TorchRuntime(network, Form(chunk_frames=chunk, lookahead_frames=lookahead))
    found = emissions(runtime, frames, Geometry.for_decoding(network, runtime.form))
    assert len(found) == 60 - lookahead
    # Within one chunk from the start of a stream, it is the bidirectional network over what was read.
    with torch.inference_mode():
        window = network(torch.from_numpy(frames[: chunk + lookahead])[None], ())[0][0].numpy()
    np.testing.assert_allclose(found[:chunk], window[: min(chunk, len(found))], atol=1e-4)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_too_few_frames_say_nothing(name):
    network = initial_network(name, 0)
    runtime = TorchRuntime(network)
    geometry = Geometry.for_decoding(network, runtime.form)
    assert emissions(runtime, np.zeros((1, 2, 16, 33), np.float32), geometry).shape == (
        1 // network.stride,
        CHARSET.num_classes,
    )


@pytest.mark.parametrize(
    "decoder",
    [Greedy(), Beam(width=16, window=20), Beam(width=16, window=20, lm=english())],
    ids=["greedy", "beam", "beam and language model"],
)
@pytest.mark.parametrize("chunk", [16, 333, 2000])
def test_the_live_text_is_that_of_decoding_the_same_samples_at_once(network, decoder, chunk):
    """From raw samples, cut as a link may: offline in chunks of 8 s, live in those of 32 ms."""
    session = toy_session(2, 4, filtered=False)
    session.valid[3000:3050, 1] = False  # a dropout
    manifest = described(network, session)
    at_once = TorchRuntime(network, in_long_chunks(manifest.form))
    offline = session_emissions(at_once, manifest, session)
    pipeline = Pipeline(manifest, TorchRuntime(network, manifest.form), filtered=False, decoder=decoder)
    state, live = pipeline.initial_state(), []
    for start in range(0, len(session.time_s), chunk):
        part = slice(start, start + chunk)
        taken = SampleChunk(start, session.time_s[part], session.emg_uv[part], session.valid[part])
        state, keys = pipeline.step(state, taken)
        live += keys
    live += pipeline.tentative(state, float(session.time_s[-1]))
    expected = decode_all(decoder, offline[: state.decoder.emissions])
    assert len(expected) > 5
    assert len(offline) - state.decoder.emissions < manifest.form.chunk_frames
    assert text_of(key.label for key in live) == text_of(expected)
    assert [key.label for key in live] == expected


def test_the_reference_is_a_pure_function_of_frames_and_state(network):
    runtime = TorchRuntime(network)
    frames = np.random.default_rng(0).standard_normal((4, 2, 16, 33)).astype(np.float32)
    state = runtime.initial_state()
    one, after = runtime.run(frames, state)
    other, _ = runtime.run(frames, state)
    assert np.array_equal(one, other)
    assert [s.shape for s in state] == [s.shape for s in after] == [(8, 192), (8, 192), (96,), (96,)]
    assert not np.array_equal(runtime.run(frames, after)[0], one)


def said(keys, count):
    """(count, K) emissions that say each key at its emission."""
    out = np.zeros((count, CHARSET.num_classes), np.float32)
    out[:, CHARSET.blank] = 1
    for emission, key in keys:
        out[emission, CHARSET.index(key)] = 2
    return out


def test_keys_are_scored_in_order_and_prompts_phrase_by_phrase():
    geometry = Geometry.of(initial_network("streaming", 0))
    session = toy_session(2, 4)
    keys = tuple(KeyPress(k, START_S + t, START_S + t + 0.1) for k, t in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    due = [int(e) for e in geometry.due(np.array([125.0, 250.0, 375.0]))]
    perfect = said(zip(due, "abc", strict=True), 250)
    assert score_emissions(perfect, labels_of(replace(session, keys=keys)), geometry).errors == 0
    wrong = said(zip(due, "abd", strict=True), 250)
    assert score_emissions(wrong, labels_of(replace(session, keys=keys)), geometry).substitutions == 1

    prompts = (Prompt("a", START_S + 0.9, START_S + 1.1), Prompt("c", START_S + 2.9, START_S + 3.1))
    prompted = labels_of(replace(session, condition="prompted", keys=(), prompts=prompts))
    score = score_emissions(perfect, prompted, geometry)
    assert (score.errors, score.length) == (0, 2), "what was typed between prompts is not held against it"


def test_evaluation_adds_recordings_up(network):
    sessions = [toy_session(i, 4) for i in range(2)]
    manifest = described(network, sessions[0])
    runtime = TorchRuntime(network, in_long_chunks(manifest.form))
    both = evaluate(runtime, manifest, sessions)
    alone = [evaluate(runtime, manifest, [s]) for s in sessions]
    assert both == tuple(a + b for a, b in zip(*alone, strict=True))


def test_whole_windows_leave_their_edges_to_their_neighbours():
    network = initial_network("spatial_lstm", 0).eval()
    runtime = TorchRuntime(network, deployed_form(network).model_copy(update={"chunk_frames": 300}))
    geometry = Geometry.for_decoding(network, runtime.form)
    hop = 300 - geometry.warmup - geometry.after
    frames = np.random.default_rng(0).standard_normal((2 * hop + 300, 2, 16, 33)).astype(np.float32)
    found = emissions(runtime, frames, geometry)
    windows = [runtime.run(frames[start : start + 300], ())[0] for start in (0, hop, 2 * hop)]
    assert len(found) == len(frames)
    seams = [0, hop + geometry.warmup, 2 * hop + geometry.warmup, 2 * hop + 300]
    for start, (seam, end), window in zip((0, hop, 2 * hop), pairwise(seams), windows, strict=True):
        np.testing.assert_array_equal(found[seam:end], window[seam - start : end - start])


def test_evaluation_normalises_as_the_manifest_says(network):
    session = toy_session(2, 4)
    manifest = described(network, session)
    slow = manifest.normalization.model_copy(update={"prior_frames": 5.0, "horizon_frames": 50.0})
    other = manifest.model_copy(update={"normalization": slow})
    frames = log_power(session)
    np.testing.assert_array_equal(
        deployed_input(frames, manifest), network_input(frames, manifest.normalization.prior)
    )
    assert np.abs(deployed_input(frames, other) - deployed_input(frames, manifest)).max() > 0.1


@pytest.mark.parametrize("chunk", [100, 126])
def test_windows_that_are_all_overlap_are_refused(chunk):
    network = initial_network("spatial_lstm", 0).eval()
    runtime = TorchRuntime(network, Form(chunk_frames=chunk, whole_window=True))
    frames = np.zeros((500, 2, 16, 33), np.float32)
    with pytest.raises(BadInput, match="overlap by 126"):
        emissions(runtime, frames, Geometry.for_decoding(network, runtime.form))
