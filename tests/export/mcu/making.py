"""A microcontroller's model, untrained but talkative, its goldens, and the C made of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from edge.manifest import Artifact, ModelManifest
from export import tflite
from export.golden import Cut, Golden, Reading, listen, say, scenarios
from export.mcu import emit
from export.mcu.emit import GOLDENS
from export.shapes import form_of
from personalize.reference import TorchRuntime
from personalize.spec import NetworkSpec
from tests.export.toys import talkative

CHUNK_FRAMES = 2  # one emission: the least memory


class Made(NamedTuple):
    """What emit was given, and its folder."""

    manifest: ModelManifest
    artifact: Artifact
    content: bytes
    goldens: list[Golden]
    folder: Path
    network: NetworkSpec


def make_micro(folder: Path) -> Made:
    """The micro network as static int8, calibrated on its own goldens' frames (there is no training here)."""
    network, manifest = talkative("micro", CHUNK_FRAMES)
    goldens = [listen(s, manifest) for s in scenarios(typing_s=3.0) if s.name in GOLDENS]
    spec = network.spec()
    wanted = form_of(spec, chunk_frames=CHUNK_FRAMES, precision="int8_static")
    content, form = tflite.lower(spec, wanted, [golden.frames for golden in goldens])
    sha256 = hashlib.sha256(content).hexdigest()
    artifact = Artifact(file="m.tflite", runtime="tflm", sha256=sha256, bytes=len(content), form=form)
    reference = TorchRuntime(network, form)
    read = [
        golden._replace(readings=(Reading(Cut.of(form), say(reference, manifest, golden)),))
        for golden in goldens
    ]
    emit(folder, manifest, artifact, content, read, spec)
    return Made(manifest, artifact, content, read, folder, spec)
