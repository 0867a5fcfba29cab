"""model.json: what is written is read, what does not fit is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.charset import CHARSET
from edge.errors import BadInput
from edge.features import BINS
from edge.manifest import (
    FILE_NAME,
    Artifact,
    Form,
    ModelManifest,
    Normalization,
    TensorSpec,
    read_manifest,
    sha256_of,
    verified_path,
    write_manifest,
)
from edge.normalize import Prior

SHAPE = (2, 16, BINS)
FORM = Form(chunk_frames=4, state=(TensorSpec(name="h_1", shape=(96,)),))


def make_manifest(**changes: Any) -> ModelManifest:
    rng = np.random.default_rng(0)
    prior = Prior(rng.normal(size=SHAPE).astype(np.float32), np.ones(SHAPE, np.float32))
    fields: dict[str, Any] = {
        "user": "ada",
        "network": "streaming",
        "created": "2026-01-01T00:00:00Z",
        "simulated": True,
        "sides": ("left",),
        "normalization": Normalization.of(prior),
        "stride": 2,
        "label_delay_frames": 12,
        "form": FORM,
    }
    return ModelManifest(**(fields | changes))


def edited(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / FILE_NAME).read_text())
    (folder / FILE_NAME).write_text(json.dumps(content | changes))


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    manifest = make_manifest()
    write_manifest(tmp_path, manifest)
    found = read_manifest(tmp_path)
    assert found == manifest
    assert found.normalization is not None
    assert manifest.normalization is not None
    np.testing.assert_array_equal(found.normalization.prior.mean, manifest.normalization.prior.mean)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"charset_sha256": "0" * 64}, "charset_sha256 is 000"),
        ({"rate_hz": 1000}, "rate_hz is 1000"),
        ({"n_fft": 128}, "n_fft is 128"),
        ({"hop": 32}, "hop is 32"),
        ({"highpass_hz": 20.0}, "highpass_hz is 20"),
        ({"power_floor": 1e-3}, "power_floor is 0.001"),
        ({"blank": 5}, "blank is 5, this version of qwrist has 98"),
        ({"charset": ["a"]}, "charset is not the 98 keys"),
        ({"charset": [*CHARSET.keys[1:], CHARSET.keys[0]]}, "charset is not the 98 keys"),
        ({"schema_version": 3}, "schema_version"),
        ({"colour": "red"}, "colour"),
        ({"sides": ["middle"]}, "sides"),
        ({"normalization": {"mean": [[[0.0]]], "std": [[[1.0]]]}}, "2 x 16 x 33"),
    ],
)
def test_refuses_what_does_not_fit(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_manifest(tmp_path, make_manifest())
    edited(tmp_path, **changes)
    with pytest.raises(BadInput, match=said) as raised:
        read_manifest(tmp_path)
    assert "\n" not in str(raised.value)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no model"):
        read_manifest(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b'{"user": "a')
    with pytest.raises(BadInput, match="not a model description"):
        read_manifest(tmp_path)


def make_artifact(folder: Path, content: bytes = b"weights") -> Artifact:
    path = folder / "model.pte"
    path.write_bytes(content)
    return Artifact(
        file=path.name, runtime="executorch", sha256=sha256_of(path), bytes=len(content), form=FORM
    )


def test_an_artifact_is_found_and_verified(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path)
    manifest = make_manifest(artifacts=(artifact,))
    assert manifest.artifact("executorch") == artifact
    assert manifest.artifact("litert") is None
    assert verified_path(tmp_path, artifact) == tmp_path / "model.pte"


@pytest.mark.parametrize("byte", range(len(b"weights")))
def test_any_changed_byte_of_an_artifact_is_refused(tmp_path: Path, byte: int) -> None:
    artifact = make_artifact(tmp_path)
    content = bytearray(b"weights")
    content[byte] ^= 1
    (tmp_path / "model.pte").write_bytes(content)
    with pytest.raises(BadInput, match="SHA-256"):
        verified_path(tmp_path, artifact)


def test_an_artifact_outside_the_folder_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(BadInput):
        verified_path(inner, artifact.model_copy(update={"file": "../model.pte"}))


def test_this_versions_charset_is_in_it() -> None:
    assert make_manifest().charset == CHARSET.keys


@pytest.mark.parametrize(
    ("old", "form"),
    [
        (
            {
                "chunk_frames": 4,
                "whole_window": False,
                "left_context": 0,
                "lookahead": 0,
                "state": [{"name": "past_1", "shape": [8, 192]}, {"name": "h", "shape": [96]}],
            },
            Form(
                chunk_frames=4,
                state=(TensorSpec(name="past_1", shape=(8, 192)), TensorSpec(name="h_1", shape=(96,))),
            ),
        ),
        (
            {"chunk_frames": 500, "whole_window": True, "left_context": 0, "lookahead": 0, "state": []},
            Form(chunk_frames=500, whole_window=True),
        ),
        (
            {"chunk_frames": 624, "whole_window": False, "left_context": 124, "lookahead": 0, "state": []},
            Form(
                chunk_frames=4,
                state=tuple(TensorSpec(name=f"past_{i}", shape=(31, 768)) for i in (1, 2, 3, 4)),
            ),
        ),
    ],
)
def test_schema_1_is_read_without_its_artifacts(tmp_path: Path, old: dict[str, Any], form: Form) -> None:
    new = json.loads(make_manifest().model_dump_json())
    for name in ("form", "settling_frames", "weights_sha256"):
        del new[name]
    stale = {"file": "model.pte", "runtime": "executorch", "sha256": "0" * 64, "bytes": 1}
    (tmp_path / FILE_NAME).write_text(json.dumps(new | old | {"schema_version": 1, "artifacts": [stale]}))
    found = read_manifest(tmp_path)
    assert found.form == form
    assert found.settling_frames == old["left_context"]
    assert found.artifacts == ()


@pytest.mark.parametrize("state", [None, [1], [{"name": "h"}], "h"])
def test_a_damaged_schema_1_is_refused_in_one_sentence(tmp_path: Path, state: Any) -> None:
    write_manifest(tmp_path, make_manifest())
    edited(tmp_path, schema_version=1, state=state)
    with pytest.raises(BadInput, match="not a model description"):
        read_manifest(tmp_path)
