"""Runtimes from the outside: what they refuse, and in which words. What they compute is in tests/export."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import BadInput, MissingExtra
from edge.manifest import Artifact, ModelManifest, TensorSpec, sha256_of
from edge.runtimes import open_preferred
from edge.runtimes.executorch import ExecuTorchRuntime
from edge.runtimes.litert import LiteRtRuntime
from edge.runtimes.quiet import quiet_loading
from export import executorch, tflite
from personalize import spec
from tests.edge.test_pipeline import manifest
from tests.export.toys import form, random_band, random_cell, random_frames

CHUNK = 4


def network() -> spec.NetworkSpec:
    rng = np.random.default_rng(2)
    layers = (random_band(rng, 2, (0,)), spec.SkipLstm(random_cell(rng, 4, 3)), spec.LogSoftmax())
    return spec.NetworkSpec("tiny", layers, 1)


@pytest.fixture(scope="module")
def tflite_file() -> bytes:
    return tflite.lower(network(), FORM).content


@pytest.fixture(scope="module")
def program() -> bytes:
    return executorch.lower(network(), FORM).content


FORM = form(network(), CHUNK)
OTHER_FORM = FORM.model_copy(
    update={"state": (TensorSpec(name="h_1", shape=(3,)), TensorSpec(name="c_1", shape=(5,)))}
)


@pytest.fixture(params=[LiteRtRuntime, ExecuTorchRuntime])
def kind(request: pytest.FixtureRequest, tflite_file: bytes, program: bytes) -> tuple[type[Any], bytes]:
    return request.param, tflite_file if request.param is LiteRtRuntime else program


def test_running_is_a_pure_function(kind: tuple[type[Any], bytes]) -> None:
    runtime = kind[0](kind[1], FORM)
    first, second = np.split(random_frames(1, 2 * CHUNK), 2)
    start = runtime.initial_state()
    expected, after = runtime.run(first, start)
    kept = [array.copy() for array in after]
    runtime.run(second, after)
    np.testing.assert_array_equal(runtime.run(first, start)[0], expected)
    assert all(not array.any() for array in start)
    for array, copy in zip(after, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.any()


def test_both_runtimes_agree(tflite_file: bytes, program: bytes) -> None:
    frames = random_frames(3, CHUNK)
    state = tuple(np.full(tensor.shape, 0.3, np.float32) for tensor in FORM.state)
    found, after = LiteRtRuntime(tflite_file, FORM).run(frames, state)
    expected, expected_after = ExecuTorchRuntime(program, FORM).run(frames, state)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for array, other in zip(after, expected_after, strict=True):
        np.testing.assert_allclose(array, other, atol=1e-5)


def test_frames_of_another_chunk_are_refused(kind: tuple[type[Any], bytes]) -> None:
    runtime = kind[0](kind[1], FORM)
    with pytest.raises(BadInput, match=r"takes float32 \(4, 2, 16, 33\), this is float32 \(5, 2, 16, 33\)"):
        runtime.run(random_frames(1, CHUNK + 1), runtime.initial_state())


def test_another_models_state_is_refused(kind: tuple[type[Any], bytes]) -> None:
    with pytest.raises(BadInput, match=r"the description.*export both again: qwrist export"):
        kind[0](kind[1], OTHER_FORM)


def listed(folder: Path, content: bytes) -> ModelManifest:
    path = folder / "model.tflite"
    path.write_bytes(content)
    artifact = Artifact(
        file=path.name, runtime="litert", sha256=sha256_of(path), bytes=len(content), form=FORM
    )
    return manifest(form=FORM, artifacts=(artifact,))


def test_opening_gives_what_the_manifest_lists(tflite_file: bytes, tmp_path: Path) -> None:
    runtime = open_preferred(tmp_path, listed(tmp_path, tflite_file), "litert")
    assert runtime.name == "LiteRT"
    assert [array.shape for array in runtime.initial_state()] == [(3,), (3,)]


def test_opening_what_was_not_exported_says_how(tflite_file: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model of frames for executorch; run qwrist export"):
        open_preferred(tmp_path, listed(tmp_path, tflite_file), "executorch")


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_opening_damaged_files_is_refused(tflite_file: bytes, tmp_path: Path, damage: str) -> None:
    described = listed(tmp_path, tflite_file)
    path = tmp_path / "model.tflite"
    if damage == "remove":
        path.unlink()
    else:
        flipped = tflite_file[:500] + bytes([tflite_file[500] ^ 1]) + tflite_file[501:]
        path.write_bytes(flipped if damage == "flip" else tflite_file[:-1])
    with pytest.raises(BadInput, match="run: qwrist export"):
        open_preferred(tmp_path, described, "litert")


def test_without_a_tflite_runtime_the_extra_is_named(
    tflite_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ai_edge_litert.interpreter", "tflite_runtime", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'qwrist\[litert\]'"):
        LiteRtRuntime(tflite_file, FORM)


def test_tflite_runtime_is_taken_where_litert_is_absent(
    tflite_file: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    older = types.ModuleType("tflite_runtime.interpreter")
    older.Interpreter = Interpreter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", older)
    runtime = LiteRtRuntime(tflite_file, FORM)
    assert runtime.run(random_frames(1, CHUNK), runtime.initial_state())[0].shape == (CHUNK, 7)


def test_loading_is_quiet_and_gives_the_terminal_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_loading():
        os.write(2, b"hidden")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


def test_an_error_while_loading_is_raised_and_the_terminal_given_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BadInput, match="passes"), quiet_loading():
        raise BadInput("passes")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
