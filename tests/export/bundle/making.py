"""Bundles with a network that runs, and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.bundle import OpenBundle, read_bundle
from edge.manifest import read_manifest
from edge.trust import TrustStore
from export.bundle import writing_bundle
from export.phone import write_samples
from tests.export.phone.making import Cut, form, make_folder, recording

CER = {"percent": 18.3, "insertions": 4, "deletions": 43, "substitutions": 26, "length": 399}
FIT: dict[str, Any] = {
    "network": "streaming",
    "start": "base",
    "parameters": 907_747,
    "simulated": True,
    "parts": [
        {"role": "train", "minutes": 1.5},
        {"role": "train", "minutes": 1.6},
        {"role": "test", "minutes": 2.0},
    ],
    "validation": {**CER, "percent": 15.6},
    "test_before": {**CER, "percent": 46.1},
    "test": CER,
    "recipe": {"unknown": "here"},
}
PARITY: dict[str, Any] = {
    "schema_version": 2,
    "runtimes": [
        {"runtime": "ONNX Runtime", "file": None, "figures": []},
        {
            "runtime": "LiteRT",
            "file": "model_0.tflite",
            "figures": [
                {
                    "golden": "rest",
                    "max_delta": 1e-6,
                    "cosine": "NaN",
                    "agreement": "NaN",
                    "identical_text": True,
                },
                {
                    "golden": "typing",
                    "max_delta": 2e-5,
                    "cosine": 0.9999,
                    "agreement": 1.0,
                    "identical_text": True,
                    "cer_runtime": 18.3,
                    "cer_reference": 18.3,
                },
            ],
        },
    ],
}


def make_bundle(
    folder: Path, trust: TrustStore, fit: dict[str, Any] | None = None, parity: dict[str, Any] | None = None
) -> OpenBundle:
    """A phone bundle with an artifact that runs, samples, and reports."""
    with writing_bundle(folder, "phone", trust) as inside:
        make_folder(inside, [Cut("litert", form())])
        write_samples(inside, read_manifest(inside), recording())
        (inside / "report.json").write_text(json.dumps(FIT | (fit or {})))
        (inside / "parity.json").write_text(json.dumps(PARITY | (parity or {})))
    return read_bundle(folder, trust.trusted())
