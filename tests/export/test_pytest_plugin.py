"""`pytest --qwrist-bundle`: a test for each artifact and golden, and a sentence for each that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.manifest import Artifact, sha256_of, write_manifest
from export import tflite
from export.golden import listen, scenarios, write_goldens
from export.parity import expectations
from tests.export.toys import talkative

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose one artifact says what its goldens say. Read only."""
    network, manifest = talkative("streaming", 8)
    folder = tmp_path_factory.mktemp("bundle")
    content, form = tflite.lower(network.spec(), manifest.form)
    path = folder / "model.tflite"
    path.write_bytes(content)
    artifact = Artifact(
        file=path.name, runtime="litert", sha256=sha256_of(path), bytes=len(content), form=form
    )
    manifest = manifest.model_copy(update={"artifacts": (artifact,)})
    write_manifest(folder, manifest)
    made = [listen(one, manifest) for one in scenarios(typing_s=2.0)]
    write_goldens(folder, expectations(network, manifest, made[:2]), manifest)
    return folder


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:randomly", *arguments)


def test_each_artifact_and_golden_is_a_test(pytester: pytest.Pytester, bundle: Path) -> None:
    result = run(pytester, "-v", f"--qwrist-bundle={bundle}")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*model.tflite-typing* PASSED*", "*model.tflite-rest* PASSED*"])


def test_a_failure_is_a_sentence_without_a_traceback(pytester: pytest.Pytester, bundle: Path) -> None:
    strict = pytester.path / "strict.yaml"
    lines = (Path(__file__).parents[2] / "configs" / "parity.yaml").read_text()
    strict.write_text(lines.replace("max_delta: 1.0e-4", "max_delta: 1.0e-12"))
    result = run(pytester, f"--qwrist-bundle={bundle}", f"--qwrist-thresholds={strict}")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["LiteRT: max |delta log p| is *, at most 1e-12 is allowed"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_nothing_to_test_is_an_error_of_usage(pytester: pytest.Pytester, tmp_path: Path) -> None:
    result = run(pytester, f"--qwrist-bundle={tmp_path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --qwrist-bundle: * holds no model.json*"])


def test_without_the_option_it_does_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    run(pytester).assert_outcomes(passed=1)
