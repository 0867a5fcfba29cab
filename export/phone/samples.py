"""samples/ of a phone bundle: programs in C++, Kotlin and Swift that run it, and golden calls to prove it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import BadInput
from edge.manifest import Artifact, Form, ModelManifest, RuntimeKind
from edge.runtimes import open_runtime
from export.phone.calls import Recording, golden_calls, input_tensors
from export.phone.constants import Sampled, cpp, kotlin, swift

FOLDER: Final = "samples"
_KINDS: Final[tuple[RuntimeKind, ...]] = ("litert", "executorch")


class _Language(NamedTuple):
    """Where a language's sample lies, what it is made of, and which artifacts it can run."""

    name: str
    folder: str
    constants: str  # the generated file
    render: Callable[[ModelManifest, Mapping[RuntimeKind, Sampled]], str]
    common: tuple[str, ...]  # files for every runtime
    files: Mapping[RuntimeKind, tuple[str, ...]]  # files for each
    floats_only: bool  # its runtimes' interfaces offer float32 arrays alone


_LANGUAGES: Final = (
    _Language(
        "C++",
        "cpp",
        "model_constants.h",
        cpp,
        ("CMakeLists.txt", "greedy_ctc.h", "replay.h", "tensors.h"),
        {"litert": ("litert_c_api.h", "run_litert.cpp"), "executorch": ("run_executorch.cpp",)},
        floats_only=False,
    ),
    _Language(
        "Kotlin",
        "kotlin",
        "QwristModel.kt",
        kotlin,
        ("GreedyCtc.kt", "Network.kt"),
        {"litert": ("LiteRtNetwork.kt",), "executorch": ("ExecuTorchNetwork.kt",)},
        floats_only=True,
    ),
    _Language(
        "Swift",
        "swift",
        "QwristModel.swift",
        swift,
        ("GreedyCtc.swift",),
        {"executorch": ("ExecuTorchNetwork.swift",)},
        floats_only=True,
    ),
)


def write_samples(folder: Path, model: ModelManifest, recording: Recording) -> list[Path]:
    """Write samples/ into a bundle's folder, where its artifacts lie already. Gives the files.

    `recording` begins at a reset and holds typing in its first seconds. Artifacts for whole windows have no
    samples: a phone types live. Raises BadInput where nothing is left to write samples for.
    """
    made: dict[str, Sampled] = {}
    written: list[Path] = []
    for language in _LANGUAGES:
        chosen = {
            kind: found for kind in language.files if (found := _choose(model, kind, language)) is not None
        }
        for artifact in chosen.values():
            if artifact.file not in made:
                made[artifact.file] = _sampled(folder, model, artifact, recording)
        if chosen:
            sampled = {kind: made[artifact.file] for kind, artifact in chosen.items()}
            written += _write_language(folder / FOLDER / language.folder, language, model, sampled)
    if not made:
        raise BadInput(
            "samples carry a state from call to call, and no artifact here does for LiteRT or ExecuTorch; "
            "export one in chunks: qwrist export --chunk-ms"
        )
    readme = folder / FOLDER / "README.md"
    readme.write_text(_readme(model), encoding="utf-8")
    golden = sorted({folder / sampled.calls_path for sampled in made.values()})
    return [*golden, *written, readme]


def _choose(model: ModelManifest, kind: RuntimeKind, language: _Language) -> Artifact | None:
    """The preferred artifact that a language's sample can run."""
    for artifact in model.artifacts:
        form = artifact.form
        if artifact.runtime == kind and not form.whole_window and (_floats(form) or not language.floats_only):
            return artifact
    return None


def _floats(form: Form) -> bool:
    return all(tensor.dtype == "float32" for tensor in (*input_tensors(form), *form.state))


def _sampled(folder: Path, model: ModelManifest, artifact: Artifact, recording: Recording) -> Sampled:
    calls = golden_calls(open_runtime(folder, artifact), model, recording)
    form = artifact.form  # artifacts that are given the same share a file
    path = f"{FOLDER}/golden/{form.takes}_{form.chunk_frames}_{form.lookahead_frames}.bin"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(calls.content)
    return Sampled(artifact, path, calls.classes)


def _write_language(
    folder: Path, language: _Language, model: ModelManifest, sampled: Mapping[RuntimeKind, Sampled]
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    constants = folder / language.constants
    constants.write_text(language.render(model, sampled), encoding="utf-8")
    names = (*language.common, *(name for kind in _KINDS if kind in sampled for name in language.files[kind]))
    for name in names:
        (folder / name).write_bytes(template(language.folder, name))
    return [constants, *(folder / name for name in names)]


def template(folder: str, name: str) -> bytes:
    """A file that is the same in every bundle."""
    return (resources.files("export.phone") / "templates" / folder / name).read_bytes()


def _readme(model: ModelManifest) -> str:
    rows = []
    for language in _LANGUAGES:
        for kind in _KINDS:
            if kind not in language.files:
                rows.append((language.name, kind, "none here; the C++ sample runs on iOS too"))
                continue
            artifact = _choose(model, kind, language)
            why = "no artifact of float32 tensors carries a state" if language.floats_only else "no artifact"
            rows.append((language.name, kind, why if artifact is None else f"`{artifact.file}`"))
    table = "\n".join(f"| {language} | {kind} | {runs} |" for language, kind, runs in rows)
    return f"""# Samples

Each opens an artifact of this bundle, starts from a state of zeros, feeds it the calls of `samples/golden/`,
carries the state, and compares the keys that it says with what the desk said of the same calls.

| language | runtime | runs |
|---|---|---|
{table}

The constants of each language are in one generated file; no other file holds a number of the model. A call
takes `frames`, or `samples` and `valid`, as the tensors among the constants say. Consecutive calls overlap by
the lookahead and, with samples, by the 48 samples that the last window shares with the next. Give samples
less each electrode's first one: the high-pass then starts at rest.

Before an artifact reaches a runtime, check the bundle's signature and hashes (docs/formats/bundle.md). The
samples in Kotlin and Swift check the SHA-256 of their artifact against the constants.
"""
