"""From an artifact to a Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from edge.errors import BadInput
from edge.manifest import Artifact, Form, ModelManifest, RuntimeKind, verified_path
from edge.runtimes.executorch import ExecuTorchRuntime
from edge.runtimes.litert import LiteRtRuntime
from edge.runtimes.protocol import Runtime
from edge.runtimes.tflm import TflmRuntime


def open_preferred(folder: Path, manifest: ModelManifest, kind: RuntimeKind, threads: int = 1) -> Runtime:
    """Load what a desk decodes with in `kind`. Raises BadInput where there is none, or as open_runtime."""
    artifact = manifest.desk_artifact(kind)
    if artifact is None:
        advice = f"run qwrist export --user {manifest.user}, with the same --model"
        if kind == "tflm":
            advice = "name a bundle of `qwrist export --target mcu` with --bundle"
        raise BadInput(f"{folder} holds no model of frames for {kind}; {advice}")
    return open_runtime(folder, artifact, threads)


def open_runtime(
    folder: Path, artifact: Artifact, threads: int = 1, kind: RuntimeKind | None = None
) -> Runtime:
    """Load an artifact of `folder` from its verified bytes, into its own runtime or another that reads it.

    Raises BadInput where it is not what was exported, MissingExtra where the runtime is not installed.
    """
    content = verified_path(folder, artifact).read_bytes()
    return load_runtime(content, artifact.form, kind or artifact.runtime, threads)


def load_runtime(content: bytes, form: Form, kind: RuntimeKind, threads: int = 1) -> Runtime:
    """Load bytes that are known to be good. Raises BadInput where they are not of `form`."""
    match kind:
        case "executorch":
            return ExecuTorchRuntime(content, form, threads)
        case "litert":
            return LiteRtRuntime(content, form, threads)
        case "tflm":
            return TflmRuntime(content, form, threads)
        case _:
            assert_never(kind)
