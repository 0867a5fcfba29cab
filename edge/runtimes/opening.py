"""From a model's folder to a Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from edge.errors import BadInput
from edge.manifest import ModelManifest, RuntimeKind, verified_path
from edge.runtimes.executorch import ExecuTorchRuntime
from edge.runtimes.litert import LiteRtRuntime
from edge.runtimes.protocol import Runtime


def open_runtime(folder: Path, manifest: ModelManifest, kind: RuntimeKind, threads: int = 1) -> Runtime:
    """Load the artifact for `kind` from its verified bytes.

    Raises BadInput where it was never exported or is not what was exported, MissingExtra where the runtime
    is not installed.
    """
    artifact = manifest.artifact(kind)
    if artifact is None:
        raise BadInput(f"{folder} holds no model for {kind}; run: qwrist export --user {manifest.user}")
    model = verified_path(folder, artifact).read_bytes()
    match kind:
        case "executorch":
            return ExecuTorchRuntime(model, manifest.state, threads)
        case "litert":
            return LiteRtRuntime(model, manifest.state, threads)
        case _:
            assert_never(kind)
