"""Small signed bundles, without any network, and ways to spoil them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.bundle.manifest import FILE_NAME, SIGNATURE_NAME
from edge.charset import CHARSET
from edge.manifest import Artifact, Form, ModelManifest, TensorSpec
from edge.signing import SigningKey
from edge.trust import TrustStore

PROGRAM = b"not a program, and never loaded"
FORM = Form(chunk_frames=4, state=(TensorSpec(name="h_1", shape=(96,)),))
PLAIN = {
    "model.tflite": PROGRAM,
    "golden/index.json": b"{}",
    "golden/typing/samples.bin": bytes(64),
    "MODEL_CARD.md": b"# A model\n",
}
ROLES = {"model.json": "model", "model.tflite": "artifact", "MODEL_CARD.md": "card"}


def make_model(**changes: Any) -> ModelManifest:
    fields: dict[str, Any] = {
        "user": "ada",
        "network": "streaming",
        "created": "2026-01-01T00:00:00Z",
        "simulated": True,
        "sides": ("left",),
        "normalization": None,
        "stride": 2,
        "label_delay_frames": 12,
        "form": FORM,
        "artifacts": (
            Artifact(
                file="model.tflite",
                runtime="litert",
                sha256=hashlib.sha256(PROGRAM).hexdigest(),
                bytes=len(PROGRAM),
                form=FORM,
            ),
        ),
    }
    return ModelManifest(**(fields | changes))


def plain_files(model: ModelManifest | None = None) -> dict[str, bytes]:
    return {"model.json": (model or make_model()).model_dump_json().encode(), **PLAIN}


def document(key: SigningKey, files: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    """A manifest as JSON; `changes` replace what is in it."""
    listed = {
        path: {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "role": ROLES.get(path, "golden"),
        }
        for path, content in files.items()
    }
    fields: dict[str, Any] = {
        "format": "qwrist bundle",
        "schema_version": 1,
        "target": "phone",
        "user": "ada",
        "counter": 3,
        "created": "2026-01-02T00:00:00+00:00",
        "simulated": True,
        "qwrist_version": "0.1.0",
        "key": key.public.id,
        "charset_sha256": CHARSET.sha256,
        "runtimes": {"litert": {"at_least": "2.3", "below": None}},
        "files": listed,
    }
    return fields | changes


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def sign(folder: Path, manifest: Mapping[str, Any], key: SigningKey) -> None:
    content = json.dumps(manifest).encode()
    (folder / FILE_NAME).write_bytes(content)
    (folder / SIGNATURE_NAME).write_bytes(key.sign(content))


def pack(folder: Path, trust: TrustStore, files: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
    """A bundle of `files` at `folder`, signed with the key of `trust`."""
    folder.mkdir(exist_ok=True)
    files = plain_files() if files is None else files
    write(folder, files)
    key = trust.signing_key()
    sign(folder, document(key, files, **changes), key)
    return folder
