"""Export keeps what agrees and nothing else: wrong artifacts leave no trace, damaged ones are not run."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import BadInput
from edge.files import locked
from edge.manifest import RuntimeKind, read_manifest, sha256_of
from edge.pipeline import Pipeline
from edge.runtimes import open_preferred
from export import artifacts
from export.artifacts import export_model
from export.golden import Golden, golden_of, of_frames, rehearsal
from export.golden.scenarios import of_session
from export.parity import ParityFailed, ParityReport, check_artifacts
from export.plan import Wish
from export.shapes import Lowered
from personalize import spec
from personalize.evaluate import session_emissions
from personalize.model import save_model
from personalize.reference import TorchRuntime
from tests.export.toys import talkative
from tests.personalize.toys import toy_session

LITERT: tuple[RuntimeKind, ...] = ("litert",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    save_model(folder, *talkative("streaming", 4))
    return folder


@pytest.fixture(scope="module")
def golden(trained: Path) -> Golden:
    return rehearsal(read_manifest(trained), duration_s=3.0)


@pytest.fixture
def model_folder(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(trained, folder)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir()}


def test_both_artifacts_are_listed_as_they_lie_there(streaming_folder: Path) -> None:
    manifest = read_manifest(streaming_folder)
    assert [artifact.runtime for artifact in manifest.artifacts] == ["executorch", "litert"]
    for artifact in manifest.artifacts:
        path = streaming_folder / artifact.file
        assert (artifact.bytes, artifact.sha256) == (path.stat().st_size, sha256_of(path))
    assert sorted(contents(streaming_folder)) == [
        "model.json",
        "model.pte",
        "model.tflite",
        "network.safetensors",
        "parity.json",
    ]


def test_the_report_is_written_and_says_what_was_compared(streaming_folder: Path) -> None:
    report = ParityReport.model_validate_json((streaming_folder / "parity.json").read_text())
    assert report.failures() == ()
    for parity in report.runtimes:
        (figures,) = parity.figures
        assert figures.said_by_reference > 50
        assert figures.spoken < 0.6 * figures.emissions  # mostly blank, as typing is
        assert figures.agreement == 1.0


def test_parity_can_be_asked_again(streaming_folder: Path) -> None:
    manifest = read_manifest(streaming_folder)
    report = check_artifacts(streaming_folder, [rehearsal(manifest, duration_s=3.0, seed=1)])
    assert [parity.runtime for parity in report.runtimes] == ["ExecuTorch", "LiteRT"]
    assert report.failures() == ()


def test_parity_before_any_export_is_refused(model_folder: Path) -> None:
    with pytest.raises(BadInput, match="no exported model; run: qwrist export"):
        check_artifacts(model_folder, [])


def test_a_recording_is_compared_with_its_error_rate(model_folder: Path) -> None:
    manifest = read_manifest(model_folder)
    golden = golden_of(toy_session(duration_s=6.0), manifest)
    report = export_model(model_folder, [golden], LITERT)
    (figures,) = report.runtimes[0].figures
    assert figures.golden == "toy-0"
    assert figures.cer_reference is not None
    assert figures.cer_runtime == figures.cer_reference


def test_the_golden_frames_are_those_that_evaluation_sees() -> None:
    network, manifest = talkative("streaming", 4)
    session = toy_session(duration_s=4.0, filtered=False)
    session = replace(session, emg_uv=of_session(session).emg_uv)  # as an ADC counts
    runtime = TorchRuntime(network)
    expected = session_emissions(runtime, manifest, session)
    frames = golden_of(session, manifest).frames
    found, _ = runtime.run(frames[: len(frames) // 2 * 2], runtime.initial_state())
    np.testing.assert_allclose(found, expected, atol=1e-4)


def exchange_keys(network: spec.NetworkSpec) -> spec.NetworkSpec:
    """The network with every key's weights moved to its neighbour, the blank's left alone."""
    *layers, head, softmax = network.layers
    if not isinstance(head, spec.Linear):  # a part of it, lowered to find what departs
        return network
    weight = head.weight.copy()
    weight[:-1] = np.roll(weight[:-1], 1, axis=0)
    return network._replace(layers=(*layers, spec.Linear(weight, head.bias), softmax))


def test_a_wrong_artifact_is_refused_and_the_old_one_stays(
    model_folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_model(model_folder, [golden], LITERT)
    before = contents(model_folder)
    right = artifacts.lower

    def wrong(network: spec.NetworkSpec, *form: Any) -> Lowered:
        return right(exchange_keys(network), *form)

    monkeypatch.setattr(artifacts, "lower", wrong)
    with pytest.raises(ParityFailed, match=r"model\.tflite was not written.*delta log p.*text differs"):
        export_model(model_folder, [golden], LITERT)
    assert contents(model_folder) == before


def test_a_silent_network_is_not_exported(golden: Golden, tmp_path: Path) -> None:
    network, manifest = talkative("streaming", 4)
    network.head.bias.data[-1] += 1000
    save_model(tmp_path, network, manifest)
    with pytest.raises(ParityFailed, match="nothing is proved"):
        export_model(tmp_path, [golden], LITERT)
    assert not (tmp_path / "model.tflite").exists()


def test_progress_counts_every_step(model_folder: Path, golden: Golden) -> None:
    told: list[tuple[str, int, int]] = []
    export_model(model_folder, [golden], LITERT, progress=lambda *step: told.append(step))
    assert [(step, steps) for _, step, steps in told] == [(0, 3), (1, 3), (2, 3)]
    assert len({what for what, _, _ in told}) == 3


def test_exporting_one_keeps_the_other(streaming_folder: Path, golden: Golden, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(streaming_folder, folder)
    program = sha256_of(folder / "model.pte")
    export_model(folder, [golden], LITERT)
    artifact = read_manifest(folder).artifact("executorch")
    assert artifact is not None
    assert artifact.sha256 == program == sha256_of(folder / "model.pte")


def test_a_damaged_artifact_never_reaches_a_runtime(streaming_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(streaming_folder, folder)
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.tflite").write_bytes(content)
    with pytest.raises(BadInput, match="not the file that was exported"):
        open_preferred(folder, read_manifest(folder), "litert")


def test_an_empty_recording_is_no_evidence(model_folder: Path) -> None:
    with pytest.raises(ParityFailed, match="nothing is proved"):
        export_model(model_folder, [of_frames("empty", np.zeros((0, 2, 16, 33), np.float32))], LITERT)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"model\.json"):
        export_model(tmp_path)


def test_what_fails_at_the_last_step_leaves_the_export_before(
    model_folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_model(model_folder, [golden], LITERT)
    before = read_manifest(model_folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        export_model(model_folder, [golden], LITERT)
    assert read_manifest(model_folder) == before
    assert open_preferred(model_folder, before, "litert").form == before.form


def test_what_is_replaced_is_removed_once_nothing_lists_it(model_folder: Path, golden: Golden) -> None:
    for _ in range(3):
        export_model(model_folder, [golden], LITERT)
        (artifact,) = read_manifest(model_folder).artifacts
        assert [path.name for path in model_folder.glob("*.tflite")] == [artifact.file]


def test_what_a_killed_export_left_is_removed_by_the_next(model_folder: Path, golden: Golden) -> None:
    (model_folder / ".export-abcd").mkdir()
    (model_folder / ".export-abcd" / "model.tflite").write_bytes(b"half")
    export_model(model_folder, [golden], LITERT)
    assert not list(model_folder.glob(".export-*"))


def test_two_exports_of_one_model_do_not_mix(model_folder: Path, golden: Golden) -> None:
    with (
        locked(model_folder / "model.json"),
        pytest.raises(BadInput, match="another export is writing"),
    ):
        export_model(model_folder, [golden], LITERT)


def test_the_desk_goes_on_with_what_takes_frames(model_folder: Path, golden: Golden) -> None:
    export_model(model_folder, [golden], LITERT)
    export_model(model_folder, [golden], LITERT, Wish(takes="samples_int16", uv_per_lsb=0.2))
    manifest = read_manifest(model_folder)
    assert [artifact.form.takes for artifact in manifest.artifacts] == ["samples_int16", "frames"]
    Pipeline(manifest, open_preferred(model_folder, manifest, "litert"))
