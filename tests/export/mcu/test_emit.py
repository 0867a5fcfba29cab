"""The generated C: strictly compiled, it says what the desk says and holds the very file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.runtimes.tflm import TflmRuntime, smallest_arena
from export.mcu import emit, memory_of
from export.mcu.flatbuffer import read_file
from tests.export.mcu.making import Made
from tests.mcu import toolchain

STUB = Path(__file__).parent / "stub"


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("make and a C compiler are not installed: the generated C cannot be compiled here")
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled once; read only."""
    folder = Path(shutil.copytree(made.folder, tmp_path_factory.mktemp("built") / "c"))
    done = make(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("says what the desk says") == 2
    return folder


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "c"))


def test_it_says_what_the_desk_says(copied: Path) -> None:
    done = make(copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " -c " not in done.stdout  # what follows compiles only what it changes


@pytest.mark.parametrize(
    ("file", "pattern", "planted"),
    [
        ("qwrist/front.c", "QW_HIGHPASS_LEAK_SHIFT", "QW_HIGHPASS_LEAK_SHIFT + 1"),
        ("qwrist/spectrum.c", r"\+ QW_POWER_FLOOR", "+ 1e-5f"),
        ("model/prior.c", r"(\{\n    )-1.0f", r"\g<1>-1.5f"),
        ("qwrist/normalize.c", r"grown < norm->horizon_frames", "grown < 9.0f"),
        ("qwrist/decode.c", r" && best != QW_BLANK", ""),
        ("qwrist/kernels.c", r"bias\[row\] \+", "0.5f * bias[row] +"),
        ("model/network.c", r"(past\w+\[i\] = )0.0f", r"\g<1>1.0f"),
        ("model/golden.c", r"( labels_1\[\] = \{\n    )", r"\g<1>97, "),
    ],
)
def test_a_planted_fault_is_found(copied: Path, file: str, pattern: str, planted: str) -> None:
    path = copied / file
    changed, count = re.subn(pattern, planted, path.read_text(), count=1)
    assert count == 1
    path.write_text(changed)
    done = make(copied)
    assert done.returncode != 0
    assert "DEPARTS" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(bool(toolchain.missing_tools()), reason="no Cortex-M to run on (make test-mcu insists)")
def test_it_says_so_on_a_cortex_m(copied: Path) -> None:
    done = make(copied, "board", "objects")
    assert done.returncode == 0, done.stdout + done.stderr
    path = copied / "qwrist/decode.c"
    path.write_text(path.read_text().replace("best != QW_BLANK", "best != QW_BACKSPACE"))
    assert make(copied, "board").returncode != 0


def test_the_array_is_the_file(made: Made) -> None:
    text = (made.folder / "model/model.c").read_text()
    body = text[text.index("qw_model[QW_MODEL_BYTES]") :].split("{", 1)[1].split("}", 1)[0]
    assert bytes(int(value) for value in body.replace(",", " ").split()) == made.content


def test_the_header_tells_the_form(made: Made) -> None:
    text = (made.folder / "model/model.h").read_text()
    defined = dict(re.findall(r"#define (QW_MODEL_\w+) (.+)", text))
    assert defined["QW_MODEL_BYTES"] == str(len(made.content))
    assert defined["QW_MODEL_CHUNK_FRAMES"] == "2"
    assert defined["QW_MODEL_STATES"] == str(len(made.artifact.form.state))
    assert defined["QW_MODEL_SHA256"] == f'"{made.artifact.sha256}"'
    assert defined["QW_MODEL_CHARSET_SHA256"] == f'"{CHARSET.sha256}"'
    rows = re.findall(
        r'\{"(\w+)", (\d+), (\d), (\S+)f, (-?\d+)\}', (made.folder / "model/model.c").read_text()
    )
    for row, tensor in zip(rows, made.artifact.form.state, strict=True):
        name, size, width, scale, zero = row
        assert (name, int(width), int(zero)) == (
            tensor.name,
            np.dtype(tensor.dtype).itemsize,
            tensor.zero_point,
        )
        assert int(size) == tensor.initial().nbytes
        assert np.float32(scale) == np.float32(tensor.scale)


def test_tflite_micro_runs_at_the_printed_arena(made: Made) -> None:
    text = (made.folder / "model/model.h").read_text()
    measured, reserved = (
        int(re.search(rf"#define QW_MODEL_ARENA_{name} (\d+)", text)[1])  # type: ignore[index]
        for name in ("MEASURED_BYTES", "BYTES")
    )
    assert 1.2 * measured <= reserved <= 1.2 * measured + 16
    assert smallest_arena(made.content) == measured
    assert memory_of(made.content).flash_bytes == len(made.content) + 8448 + 5120
    runtime = TflmRuntime(made.content, made.artifact.form, arena_bytes=measured)
    frames = made.goldens[0].frames[:2]
    log_probs, _ = runtime.run(frames, runtime.initial_state())
    assert np.isfinite(log_probs).all()


def test_the_resolver_lists_exactly_the_operators(made: Made) -> None:
    text = (made.folder / "model/operators.h").read_text()
    methods = read_file(made.content).resolver_methods
    assert tuple(re.findall(r"resolver\.(Add\w+)\(", text)) == methods
    assert f"MicroMutableOpResolver<{len(methods)}>" in text


def test_the_firmware_is_correct_cpp_against_what_it_uses_of_tflite_micro(copied: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed: firmware.cc cannot be compiled here")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Iqwrist", "-Imodel", f"-I{STUB}", "-fsyntax-only"]
    done = subprocess.run(
        [compiler, *flags, "firmware.cc"], cwd=copied, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_edge_c_cannot_feed_is_refused(made: Made, tmp_path: Path) -> None:
    form = made.artifact.form.model_copy(update={"lookahead_frames": 2})
    artifact = made.artifact.model_copy(update={"form": form})
    with pytest.raises(BadInput, match="edge/c gives"):
        emit(tmp_path / "c", made.manifest, artifact, made.content, made.goldens)
    with pytest.raises(BadInput, match="goldens"):
        emit(tmp_path / "c", made.manifest, made.artifact, made.content, [])
    unread = [golden._replace(readings=()) for golden in made.goldens]
    with pytest.raises(BadInput, match="has not read"):
        emit(tmp_path / "c", made.manifest, made.artifact, made.content, unread)
    assert not (tmp_path / "c").exists()
