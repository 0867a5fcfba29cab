"""edge/c on this computer, under the address and undefined-behaviour sanitizers, against edge's NumPy."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.c import FOLDER, HEADERS, SOURCES
from edge.c.generate import c_float, generated
from edge.charset import CHARSET
from edge.ctc import greedy
from edge.edits import text_of
from edge.highpass import HighPass
from edge.samples import Float32
from export.golden import UV_PER_LSB, scenarios
from tests.mcu import toolchain
from tests.mcu.replaying import Replayed, Run, decode, replay
from tests.mcu.signals import Expected, Scene, expected_of, hard_scene, real_scene, typing_scene

LOG_EVERYWHERE = 1e-3  # decades of power; issue 3. A frame's noise is 0.5 decades: a five-hundredth of it
LOG_MOSTLY = 1e-5  # at the 99.9th percentile; measured: below 2e-6


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: edge/c cannot be compiled here")
    path = toolchain.build_here(tmp_path_factory.mktemp("c"), "replay.c")
    return lambda folder: toolchain.run([path], folder) and None


def replay_once(program: Run, scene: Scene, expected: Expected | None = None, **options: object) -> Replayed:
    with tempfile.TemporaryDirectory() as folder:
        norm = None if expected is None else expected.norm
        return replay(program, Path(folder), scene.emg_uv, scene.valid, norm=norm, **options)  # type: ignore[arg-type]


def assert_agrees(found: Replayed, expected: Expected) -> None:
    np.testing.assert_array_equal(found.frames.valid, expected.frames.valid)
    departure = np.abs(found.frames.values - expected.frames.values)
    assert departure.max() <= LOG_EVERYWHERE
    assert np.quantile(departure, 0.999) <= LOG_MOSTLY
    deviation = np.sqrt(1e-4)  # the smallest that a departure is divided by
    assert np.abs(found.network_input - expected.network_input).max() <= LOG_EVERYWHERE / deviation
    assert np.quantile(np.abs(found.network_input - expected.network_input), 0.999) <= 10 * LOG_MOSTLY


def test_the_generated_files_are_current() -> None:
    for name, content in generated().items():
        assert (FOLDER / name).read_text() == content, f"run: python -m edge.c.generate ({name})"


def test_every_source_is_listed() -> None:
    assert {path.name for path in FOLDER.glob("*.[ch]")} == {*HEADERS, *SOURCES}


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_literal_reads_back(value: float) -> None:
    literal = c_float(value)
    assert literal.endswith("f")
    assert np.float32(literal[:-1]) == np.float32(value)


@pytest.mark.parametrize("make", [typing_scene, hard_scene])
def test_frames_and_normalisation_are_those_of_numpy(program: Run, make: type[Scene]) -> None:
    scene = make()
    expected = expected_of(scene)
    assert_agrees(replay_once(program, scene, expected), expected)


def test_the_golden_scenarios_agree(program: Run) -> None:
    departures = []
    for scenario in scenarios(typing_s=3.0):
        for part in scenario.segments:
            floats = Scene(scenario.emg_uv[part], scenario.valid[part])
            expected = expected_of(floats)
            raw = Scene(scenario.counts[part], scenario.valid[part])  # type: ignore[arg-type]
            found = replay_once(program, raw, expected, uv_per_lsb=UV_PER_LSB)
            np.testing.assert_array_equal(found.frames.valid, expected.frames.valid)
            departures.append(np.abs(found.frames.values - expected.frames.values).ravel())
            assert np.abs(found.network_input - expected.network_input).max() <= LOG_EVERYWHERE
    together = np.concatenate(departures)
    assert len(departures) > 6
    assert together.max() <= LOG_EVERYWHERE
    assert np.quantile(together, 0.999) <= LOG_MOSTLY


def test_real_recordings_agree_as_well(program: Run) -> None:
    scene = real_scene()
    expected = expected_of(scene)
    values = expected.frames.values
    departure = np.abs(replay_once(program, scene).frames.values - values)
    assert departure.max() <= LOG_EVERYWHERE
    # Their amplifier cut at 500 Hz: the bins beyond lie up to 110 dB below the loudest, where 30 bits end.
    audible = values >= values.max(-1, keepdims=True) - 7  # 70 dB: nine bins in ten
    assert audible.mean() > 0.85
    assert np.quantile(departure[audible], 0.999) <= LOG_MOSTLY


def test_a_filtered_source_is_not_filtered_again(program: Run) -> None:
    raw = hard_scene()
    highpass = HighPass()
    scene = Scene(highpass.step(highpass.initial_state(raw.emg_uv[0]), raw.emg_uv)[1], raw.valid)
    expected = expected_of(scene, filtered=True)
    assert_agrees(replay_once(program, scene, expected, filtered=True), expected)


def test_int16_samples_are_their_microvolts(program: Run) -> None:
    scene, uv_per_lsb = hard_scene(), 0.195  # the RHD2000 amplifiers' step
    lsb = np.clip(np.round(scene.emg_uv / uv_per_lsb), -(2**15), 2**15 - 1).astype(np.int16)
    floats = Scene(lsb.astype(np.float32) * np.float32(uv_per_lsb), scene.valid)
    expected = expected_of(floats)
    found = replay_once(program, Scene(lsb, scene.valid), expected, uv_per_lsb=uv_per_lsb)  # type: ignore[arg-type]
    assert_agrees(found, expected)
    np.testing.assert_array_equal(found.frames.values, replay_once(program, floats).frames.values)


@settings(max_examples=8, deadline=None)
@given(piece=st.integers(1, 256), samples=st.integers(0, 700))
def test_pieces_change_not_one_bit(program: Run, piece: int, samples: int) -> None:
    scene = hard_scene(seconds=5)
    cut = Scene(scene.emg_uv[9000 : 9000 + samples], scene.valid[9000 : 9000 + samples])
    expected = expected_of(scene)
    whole, pieces = (replay_once(program, cut, expected, piece=size) for size in (256, piece))
    np.testing.assert_array_equal(pieces.frames.values, whole.frames.values)
    np.testing.assert_array_equal(pieces.frames.valid, whole.frames.valid)
    np.testing.assert_array_equal(pieces.network_input, whole.network_input)


@pytest.mark.parametrize("filtered", [False, True])
def test_no_sample_is_undefined(program: Run, filtered: bool) -> None:
    emg, valid = typing_scene(seconds=0.5)
    emg[::7] = np.float32(np.nan)
    emg[1::7] = np.float32(np.inf)
    emg[2::7] = -np.float32(3e38)
    emg[3::7] = np.float32(1e-42)
    found = replay_once(program, Scene(emg, valid), filtered=filtered)
    assert np.isfinite(found.frames.values).all()


def test_a_long_silence_after_an_offset_reaches_the_floor(program: Run) -> None:
    emg, valid = typing_scene(seconds=2)
    emg[1000:] = emg[999] + 5000
    scene = Scene(emg, valid)
    expected = expected_of(scene)
    last = replay_once(program, scene).frames.values[-1]
    np.testing.assert_allclose(last, expected.frames.values[-1], atol=1e-5)
    np.testing.assert_allclose(last, -6, atol=1e-5)


def test_without_normalisation_missing_frames_are_zero(program: Run) -> None:
    found = replay_once(program, hard_scene())
    missing = ~found.frames.valid
    assert missing.any()
    assert not found.network_input[missing].any()
    np.testing.assert_array_equal(found.network_input[~missing], found.frames.values[~missing])


def random_emissions(seed: int, count: int) -> Float32:
    """Few classes, so that runs, blanks, erasures and ties are common."""
    rng = np.random.default_rng(seed)
    said = rng.choice([0, 1, 40, 70, 93, 94, 95, 96, 97, 98], count).repeat(rng.integers(1, 4, count))
    log_probs = rng.choice(np.float32([-9, -8]), (len(said), CHARSET.num_classes))
    log_probs[np.arange(len(said)), said] = rng.choice(np.float32([-8, -1]), len(said))
    return log_probs


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(0, 300))
def test_keys_and_text_are_those_of_numpy(program: Run, seed: int, count: int) -> None:
    log_probs = random_emissions(seed, count)
    with tempfile.TemporaryDirectory() as folder:
        said = decode(program, Path(folder), log_probs)
    assert said.labels == greedy(log_probs)
    assert said.text == text_of(greedy(log_probs))
