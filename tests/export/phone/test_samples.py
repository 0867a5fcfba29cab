"""The samples: compiled strictly, run where a runtime is at hand, and saying what the desk says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib import resources, util
from pathlib import Path

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.manifest import RuntimeKind, TensorSpec, read_manifest
from edge.runtimes import Runtime
from edge.runtimes.signature import LOG_PROBS, next_name
from export.phone import golden_calls, write_samples
from export.phone.calls import input_tensors
from export.phone.constants import Sampled, cpp, kotlin, swift
from tests.export.phone.making import STRIDE, Cut, form, make_folder, recording
from tests.export.phone.test_calls import Numpy

HERE = Path(__file__).parent
STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
CASES = {
    "frames": {},
    "settling": {},
    "samples": {"takes": "samples"},
    "int16 samples": {"takes": "samples_int16", "uv_per_lsb": 0.5},
    "dynamic int8": {"precision": "int8_dynamic"},
    "static int8": {"precision": "int8_static"},
}
SANITIZED = {"samples", "static int8"}  # every kind of input and state, without the minutes of all


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def package(name: str) -> Path:
    spec = util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"{name} is not installed")
    return Path(spec.origin).parent


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def spelt(classes: Sequence[int]) -> str:
    return "".join(key if len(key) == 1 else f"<{key}>" for key in (CHARSET.keys[c] for c in classes))


def said_on_the_desk(kind: RuntimeKind, text: str) -> str:
    """The golden keys, from the constants that were written."""
    name = {"litert": "LiteRt", "executorch": "ExecuTorch"}[kind]
    found = re.search(rf"k{name}GoldenKeys\[\] = {{([\d, ]+)}}", text)
    assert found is not None
    return spelt([int(n) for n in found[1].split(",")])


def link_litert(sources: Path, binary: Path, *flags: str) -> Path:
    library = package("ai_edge_litert") / "libLiteRt.so"
    if not library.exists():
        pytest.skip("this ai-edge-litert has no libLiteRt.so")
    run(
        tool("g++"),
        *STRICT,
        *flags,
        sources / "run_litert.cpp",
        library,
        f"-Wl,-rpath,{library.parent}",
        "-o",
        binary,
    )
    return binary


@pytest.mark.parametrize("case", CASES)
def test_cpp_on_litert_says_what_the_desk_says(tmp_path: Path, case: str) -> None:
    settling = {"settling_frames": 62} if case == "settling" else {}
    model = make_folder(tmp_path, [Cut("litert", form(**CASES[case]))], **settling)
    written = write_samples(tmp_path, model, recording())
    assert all(path.is_file() for path in written)
    sources = tmp_path / "samples" / "cpp"
    checked = ("-fsanitize=address,undefined",) if case in SANITIZED else ()
    binary = link_litert(sources, tmp_path / "run", *checked)
    # What LiteRT itself never frees is not the sample's.
    said = run(binary, tmp_path, ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS="halt_on_error=1")
    expected = said_on_the_desk("litert", (sources / "model_constants.h").read_text())
    assert said == expected + "\n"
    assert len(set(expected)) > 3


def test_cpp_notices_a_state_that_is_not_carried_and_a_key_that_differs(tmp_path: Path) -> None:
    model = make_folder(tmp_path, [Cut("litert", form())])
    write_samples(tmp_path, model, recording())
    sources = tmp_path / "samples" / "cpp"
    program = (sources / "run_litert.cpp").read_text()
    forgetful = program.replace("|| !Write(name, next)", "")
    assert forgetful != program
    (sources / "run_litert.cpp").write_text(forgetful)
    binary = link_litert(sources, tmp_path / "forgetful")
    done = subprocess.run([binary, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the desk said: " in done.stderr
    (tmp_path / "samples" / "golden" / "frames_4_0.bin").write_bytes(b"\0" * 10)
    cut_off = subprocess.run([binary, tmp_path], capture_output=True, text=True, check=False)
    assert cut_off.returncode == 1
    assert "cut off" in cut_off.stderr


_ZEROS = """
#include <cstdio>
#include "tensors.h"
int main() {
  for (const qwrist::Tensor& tensor : qwrist::kLiteRtTensors) {
    for (const std::uint8_t byte : qwrist::Zero(tensor)) std::printf("%02x", byte);
    std::printf("\\n");
  }
}
"""


def test_cpp_starts_every_kind_of_state_at_real_zero(tmp_path: Path) -> None:
    model = make_folder(tmp_path, [Cut("litert", form())])
    integers = [
        TensorSpec(name="a", shape=(2, 3), dtype="int8", scale=0.5, zero_point=-7),
        TensorSpec(name="b", shape=(2,), dtype="int16", scale=0.5, zero_point=-300),
        TensorSpec(name="c", shape=(3,)),
    ]
    cut = model.artifacts[0].form.model_copy(update={"state": tuple(integers)})
    artifact = model.artifacts[0].model_copy(update={"form": cut})
    write_samples(tmp_path, model, recording())
    sources = tmp_path / "samples" / "cpp"
    (sources / "model_constants.h").write_text(cpp(model, {"litert": Sampled(artifact, "x", (1,))}))
    (sources / "zeros.cpp").write_text(_ZEROS)
    run(tool("g++"), *STRICT, sources / "zeros.cpp", "-o", tmp_path / "zeros")
    rows = run(tmp_path / "zeros").splitlines()
    assert rows[1:] == [tensor.initial().tobytes().hex() for tensor in integers]


@pytest.fixture(scope="module")
def paper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both runtimes, the .pte one never loaded: the network's own NumPy says what it would."""
    folder = tmp_path_factory.mktemp("paper")
    model = make_folder(folder, [Cut("litert", form())])
    program = model.artifacts[0].model_copy(update={"file": "model_0.tflite", "runtime": "executorch"})
    model = model.model_copy(update={"artifacts": (*model.artifacts, program)})

    def numpy(_: Path, artifact: object) -> Runtime:
        assert artifact in model.artifacts
        return Numpy(form())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.phone.samples.open_runtime", numpy)
        write_samples(folder, model, recording())
    return folder


def executorch_flags() -> tuple[Path, list[str]]:
    home = package("executorch.exir").parent
    own = home / "include" / "executorch" / "runtime" / "core" / "portable_type" / "c10"
    return home, [
        "-DC10_USING_CUSTOM_GENERATED_MACROS",
        "-isystem",
        str(home / "include"),
        "-isystem",
        str(own),
    ]


def test_cpp_on_executorch_compiles(paper_folder: Path) -> None:
    _, flags = executorch_flags()
    run(
        tool("g++"), *STRICT, *flags, "-fsyntax-only", paper_folder / "samples" / "cpp" / "run_executorch.cpp"
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the wheel's libraries are linked as Linux has them")
@pytest.mark.parametrize("case", ["frames", "dynamic int8"])
def test_cpp_on_executorch_says_what_the_desk_says(tmp_path: Path, case: str) -> None:
    model = make_folder(tmp_path, [Cut("executorch", form(**CASES[case]))])
    write_samples(tmp_path, model, recording())
    home, flags = executorch_flags()
    torch = package("torch") / "lib"
    python = Path(sysconfig.get_config_var("LIBDIR"))
    libraries = [
        *(home / "extension" / "pybindings").glob("_portable_lib*.so"),
        *(home / "backends" / "qualcomm").glob("libqnn*.so"),  # the wheel's own logging lives in it
        *(torch / f"lib{name}.so" for name in ("torch", "torch_cpu", "torch_python", "c10")),
        python / f"lib{sysconfig.get_config_var('LDLIBRARY').removeprefix('lib')}",
    ]
    binary = tmp_path / "run"
    paths = ":".join(sorted({str(library.parent) for library in libraries}))
    source = tmp_path / "samples" / "cpp" / "run_executorch.cpp"
    run(tool("g++"), *STRICT, *flags, source, *libraries, f"-Wl,-rpath,{paths}", "-o", binary)
    expected = said_on_the_desk("executorch", (source.parent / "model_constants.h").read_text())
    assert run(binary, tmp_path) == expected + "\n"


def play(folder: Path) -> list[int]:
    """Record every call of the network for the played runtimes of kotlin/; what was said."""
    model = read_manifest(folder)
    cut = model.artifacts[0].form
    rows = [
        f"input {tensor.name} {int(np.prod(tensor.shape))}" for tensor in (*input_tensors(cut), *cut.state)
    ]
    rows.append(f"output {LOG_PROBS} {cut.chunk_frames // STRIDE * CHARSET.num_classes}")
    rows += [f"output {next_name(tensor.name)} {int(np.prod(tensor.shape))}" for tensor in cut.state]
    (folder / "model_0.tflite.tensors").write_text("\n".join(rows) + "\n")
    taps: list[bytes] = []

    class Tapped(Numpy):
        def run(self, x: object, state: tuple[object, ...]) -> tuple[object, tuple[object, ...]]:  # type: ignore[override]
            log_probs, after = super().run(x, state)  # type: ignore[arg-type]
            taps.extend(np.asarray(array, "<f4").tobytes() for array in (x, *state, log_probs, *after))
            return log_probs, after

    calls = golden_calls(Tapped(cut), model, recording())  # type: ignore[arg-type]
    (folder / "model_0.tflite.played").write_bytes(b"".join(taps))
    return list(calls.classes)


@pytest.mark.slow
def test_kotlin_compiles_and_says_what_the_desk_says(paper_folder: Path, tmp_path: Path) -> None:
    """Against the few lines of each runtime's interface in kotlin/, which play a recording of the network."""
    kotlinc, java = tool("kotlinc"), tool("java")
    shutil.copytree(paper_folder, tmp_path / "bundle")
    expected = play(tmp_path / "bundle")
    samples = sorted((tmp_path / "bundle" / "samples" / "kotlin").glob("*.kt"))
    assert len(samples) == 5
    jar = tmp_path / "sample.jar"
    run(kotlinc, *samples, *sorted((HERE / "kotlin").glob("*.kt")), "-include-runtime", "-d", jar)
    for name in ("LiteRt", "ExecuTorch"):
        said = run(java, "-cp", jar, f"org.qwrist.test.{name}MainKt", tmp_path / "bundle")
        assert [int(n) for n in said.split()] == expected
    (tmp_path / "bundle" / "model_0.tflite").write_bytes(b"another program")
    done = subprocess.run(
        [java, "-cp", jar, "org.qwrist.test.LiteRtMainKt", tmp_path / "bundle"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "is not the file that was exported" in done.stderr


TEMPLATES = resources.files("export.phone") / "templates"
NUMBER = re.compile(r"(?<![\w.\"])\d+(?:\.\d+)?(?![\w.])")
# Arithmetic and sizes of memory; a byte's place in a word. None is the model's.
PLAIN = {"0", "1", "2", "4", "8", "20"}


@pytest.mark.parametrize("language", ["cpp", "kotlin", "swift"])
def test_no_sample_holds_a_number_of_the_model(language: str) -> None:
    for path in sorted(Path(str(TEMPLATES / language)).iterdir()):
        if path.suffix not in {".cpp", ".h", ".kt", ".swift"}:
            continue
        code = re.sub(r"//.*|/\*.*?\*/|\"(\\.|[^\"\\])*\"", "", path.read_text())
        code = re.sub(r"#include.*", "", code)
        assert set(NUMBER.findall(code)) <= PLAIN, path.name
        assert "frames" not in re.findall(r"\"(\w+)\"", path.read_text())


def braces_match(text: str) -> bool:
    code = re.sub(r"//.*|\"(\\.|[^\"\\])*\"", "", text)
    return all(code.count(a) == code.count(b) for a, b in ("{}", "()", "[]"))


def test_swift_is_whole_and_uses_what_the_constants_have(paper_folder: Path) -> None:
    """No Swift compiler is at hand: names and structure are checked, and nothing more is claimed."""
    folder = paper_folder / "samples" / "swift"
    texts = {path.name: path.read_text() for path in folder.glob("*.swift")}
    assert set(texts) == {"QwristModel.swift", "GreedyCtc.swift", "ExecuTorchNetwork.swift"}
    constants = set(re.findall(r"static let (\w+)", texts["QwristModel.swift"]))
    for name, text in texts.items():
        assert braces_match(text), name
        assert set(re.findall(r"QwristModel\.(\w+)", text)) <= constants
    fields = set(re.findall(r"let (\w+):", texts["ExecuTorchNetwork.swift"]))
    assert set(re.findall(r"^        (\w+): ", texts["QwristModel.swift"], re.MULTILINE)) <= fields


def test_constants_are_the_same_in_every_language(paper_folder: Path) -> None:
    model = read_manifest(paper_folder)
    sampled = {"executorch": Sampled(model.artifacts[0], "samples/golden/x.bin", (3, 97))}
    texts = [render(model, sampled) for render in (cpp, kotlin, swift)]  # type: ignore[arg-type]
    for text in texts:
        assert model.artifacts[0].sha256 in text
        assert '"past_1"' in text
        assert "samples/golden/x.bin" in text
        assert f"{model.user}'s {model.network}" in text
        for number in (2000, 16, STRIDE, 99, 98):
            assert re.search(rf"\b{number}\b", text)
        keys = re.findall(
            r"\"((?:\\.|[^\"\\])+)\"", next(line for line in text.splitlines() if '"Key.shift"' in line)
        )
        assert [re.sub(r"\\(.)", r"\1", key) for key in keys] == list(CHARSET.keys)


def test_an_artifact_that_a_language_cannot_run_is_passed_over_and_said(tmp_path: Path) -> None:
    model = make_folder(tmp_path, [Cut("litert", form(takes="samples_int16", uv_per_lsb=0.5))])
    write_samples(tmp_path, model, recording())
    assert (tmp_path / "samples" / "cpp" / "run_litert.cpp").is_file()
    assert not (tmp_path / "samples" / "kotlin").exists()
    readme = (tmp_path / "samples" / "README.md").read_text()
    assert "| C++ | litert | `model_0.tflite` |" in readme
    assert "| Kotlin | litert | no artifact of float32 tensors carries a state |" in readme


def test_the_preferred_artifact_that_a_language_can_run_is_taken(tmp_path: Path) -> None:
    cuts = [Cut("litert", form(takes="samples_int16", uv_per_lsb=0.5)), Cut("litert", form())]
    write_samples(tmp_path, make_folder(tmp_path, cuts), recording())
    assert '"model_0.tflite"' in (tmp_path / "samples" / "cpp" / "model_constants.h").read_text()
    assert '"model_1.tflite"' in (tmp_path / "samples" / "kotlin" / "QwristModel.kt").read_text()
    golden = sorted(path.name for path in (tmp_path / "samples" / "golden").iterdir())
    assert golden == ["frames_4_0.bin", "samples_int16_4_0.bin"]


def test_without_a_state_to_carry_there_are_no_samples(tmp_path: Path) -> None:
    model = make_folder(tmp_path, [])
    with pytest.raises(BadInput, match="no artifact here does"):
        write_samples(tmp_path, model, recording())


def test_templates_are_ascii_and_short() -> None:
    for folder in ("cpp", "kotlin", "swift"):
        for path in Path(str(TEMPLATES / folder)).iterdir():
            text = path.read_text()
            assert text.isascii(), path.name
            assert len(text.splitlines()) <= 200, path.name
