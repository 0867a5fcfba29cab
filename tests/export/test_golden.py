"""Goldens: the same each time, made by edge's own front end, and the same again from their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.errors import BadInput
from edge.features import HOP, N_FFT
from edge.manifest import Form, ModelManifest
from edge.pipeline import Pipeline
from edge.samples import RATE_HZ, SampleChunk
from export.golden import FOLDER, Cut, Golden, listen, read_goldens, say, scenarios, write_goldens
from export.golden.scenarios import UV_PER_LSB, counted, of_session
from export.parity import expectations
from personalize.networks import Network
from personalize.reference import TorchRuntime
from tests.export.toys import talkative
from tests.personalize.toys import toy_session

Model = tuple[Network, ModelManifest]


@pytest.fixture(scope="module")
def model() -> Model:
    return talkative("streaming", 4)


@pytest.fixture(scope="module")
def goldens(model: Model) -> tuple[Golden, ...]:
    network, manifest = model
    made = [listen(scenario, manifest) for scenario in scenarios(typing_s=2.0)]
    return expectations(network, manifest, made)


def golden(goldens: tuple[Golden, ...], name: str) -> Golden:
    return next(one for one in goldens if one.name == name)


def test_each_scenario_is_there_and_the_same_each_time() -> None:
    first, second = scenarios(typing_s=2.0), scenarios(typing_s=2.0)
    assert [one.name for one in first] == ["typing", "rest", "dropout", "saturation", "transient", "reset"]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
    assert [one.disturbed for one in first] == [False, True, True, True, True, True]


def test_a_missing_sample_holds_the_last_value(goldens: tuple[Golden, ...]) -> None:
    scenario = golden(goldens, "dropout").scenario
    missing = np.argwhere(~scenario.valid[1:]) + np.array([1, 0])
    assert len(missing) > 1000
    for sample, wrist in missing[::97]:
        np.testing.assert_array_equal(scenario.counts[sample, wrist], scenario.counts[sample - 1, wrist])


def test_a_saturated_adc_stays_at_its_ends(goldens: tuple[Golden, ...]) -> None:
    counts = golden(goldens, "saturation").scenario.counts[RATE_HZ : RATE_HZ + RATE_HZ // 2]
    limits = np.iinfo(np.int16)
    assert np.isin(counts, [limits.min, limits.max]).mean() > 0.9


def test_a_transient_is_a_thousand_times_louder_as_far_as_the_adc_goes(goldens: tuple[Golden, ...]) -> None:
    typing = golden(goldens, "reset").scenario.emg_uv  # the same cut, undisturbed
    loud = golden(goldens, "transient").scenario.emg_uv
    knock = slice(RATE_HZ, RATE_HZ + RATE_HZ // 10)
    np.testing.assert_array_equal(loud[knock], counted(1000 * typing[knock]) * np.float32(UV_PER_LSB))
    np.testing.assert_array_equal(np.delete(loud, np.r_[knock], 0), np.delete(typing, np.r_[knock], 0))


def test_after_a_reset_everything_starts_anew(model: Model, goldens: tuple[Golden, ...]) -> None:
    network, manifest = model
    reset = golden(goldens, "reset")
    (where,) = reset.scenario.resets
    assert where % HOP != 0
    rest = reset.scenario._replace(
        counts=reset.scenario.counts[where:], valid=reset.scenario.valid[where:], resets=()
    )
    alone = say(TorchRuntime(network, manifest.form), manifest, listen(rest, manifest))
    np.testing.assert_array_equal(reset.readings[0].log_probs[-len(alone) :], alone)


def test_the_stages_are_those_of_live_typing(model: Model, goldens: tuple[Golden, ...]) -> None:
    network, manifest = model
    typing = golden(goldens, "typing")
    pipeline = Pipeline(manifest, TorchRuntime(network, manifest.form))
    samples = len(typing.scenario.counts)
    chunk = SampleChunk(0, np.arange(samples) / RATE_HZ, typing.scenario.emg_uv, typing.scenario.valid)
    state, keys = pipeline.step(pipeline.initial_state(), chunk)
    said = typing.readings[0].log_probs
    assert len(keys) > 3
    assert [key.label for key in keys] == greedy(said[: state.decoder.emissions])
    assert len(typing.frames) == (samples - N_FFT) // HOP + 1


def test_goldens_are_the_same_from_their_files(
    model: Model, goldens: tuple[Golden, ...], tmp_path: Path
) -> None:
    _, manifest = model
    files = write_goldens(tmp_path, goldens, manifest)
    assert sorted(files) == sorted((tmp_path / FOLDER).iterdir())
    for before, after in zip(goldens, read_goldens(tmp_path, manifest), strict=True):
        for array, again in zip(before.stages, after.written, strict=True):
            np.testing.assert_array_equal(array, again)
        np.testing.assert_array_equal(before.frames, after.golden.frames)
        np.testing.assert_array_equal(before.readings[0].log_probs, after.golden.readings[0].log_probs)
        assert before.scenario.resets == after.golden.scenario.resets


def test_the_files_are_plain_numbers(model: Model, goldens: tuple[Golden, ...], tmp_path: Path) -> None:
    _, manifest = model
    write_goldens(tmp_path, goldens, manifest)
    index = json.loads((tmp_path / FOLDER / "index.json").read_text())
    typing = index["scenarios"][0]
    tensor = typing["stages"]["samples"]
    raw = np.frombuffer((tmp_path / FOLDER / tensor["file"]).read_bytes(), "<i2").reshape(tensor["shape"])
    np.testing.assert_array_equal(raw, goldens[0].scenario.counts)
    said = goldens[0].text(goldens[0].readings[0].log_probs, 0, manifest.stride)
    assert typing["emissions"][0]["keys"] == [CHARSET.keys[label] for label in said]


def test_damaged_or_foreign_goldens_are_refused(
    model: Model, goldens: tuple[Golden, ...], tmp_path: Path
) -> None:
    _, manifest = model
    write_goldens(tmp_path, goldens[:1], manifest)
    with pytest.raises(BadInput, match="stride"):
        read_goldens(tmp_path, manifest.model_copy(update={"stride": 1}))
    samples = tmp_path / FOLDER / "typing.samples.bin"
    samples.write_bytes(samples.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"typing\.samples\.bin holds .* export again"):
        read_goldens(tmp_path, manifest)
    samples.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        read_goldens(tmp_path, manifest)


def test_typing_is_the_recording_where_there_is_one() -> None:
    session = toy_session(duration_s=6.0)
    whole = of_session(session)
    assert len(whole.counts) == len(session.emg_uv)
    np.testing.assert_allclose(whole.emg_uv, session.emg_uv, atol=0.5001 * UV_PER_LSB)
    cut = of_session(session, 2.0)
    assert len(cut.counts) == 2 * RATE_HZ
    assert cut.labels is not None
    assert whole.labels is not None
    assert 0 < cut.labels.count < whole.labels.count


def test_what_decides_the_emissions_is_how_they_are_cut() -> None:
    live = Form(chunk_frames=4)
    assert Cut.of(live) == Cut.of(live.model_copy(update={"chunk_frames": 8, "takes": "samples"}))
    ahead = live.model_copy(update={"lookahead_frames": 8})
    assert Cut.of(ahead) != Cut.of(ahead.model_copy(update={"chunk_frames": 8}))
    assert Cut.of(live) != Cut.of(Form(chunk_frames=4, whole_window=True))
