"""The C folder of a bundle: edge/c, the model as generated C, golden vectors and a program that checks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge import c
from edge.errors import BadInput
from edge.manifest import Artifact, ModelManifest
from edge.runtimes.tflm import ARENA_MARGIN, aligned, smallest_arena
from export.golden import Golden
from export.mcu import sources
from export.mcu.flatbuffer import read_file
from export.mcu.network import in_bytes, network_source
from personalize.spec import NetworkSpec

_FILES: Final = Path(__file__).parent / "files"
_COPIED: Final = ("Makefile", "CMakeLists.txt", "check.c", "firmware.cc")
GOLDENS: Final = ("typing", "dropout")  # 1.5 to 4 s each, of a build that checks, not of a product


def memory_of(content: bytes) -> sources.Memory:
    """What a .tflite file takes on a microcontroller. Raises BadInput where TFLite Micro cannot run it."""
    arena = smallest_arena(content)
    return sources.Memory(len(content), arena, aligned(arena * (1 + ARENA_MARGIN)))


def emit(
    folder: Path,
    manifest: ModelManifest,
    artifact: Artifact,
    content: bytes,
    goldens: Sequence[Golden],
    network: NetworkSpec | None = None,
) -> list[Path]:
    """Write into `folder` (a bundle's c/), which must not be there yet; all files, sorted.

    `content` is the artifact's .tflite file and `goldens` the bundle's, as the desk has read them; typing and
    a dropout are taken. With `network`, the artifact's own, it is written as C too (export/mcu/network.py).
    Raises BadInput where TFLite Micro cannot run the file, a golden is missing, or a layer has no C.
    """
    if artifact.form.takes != "frames" or artifact.form.whole_window or artifact.form.lookahead_frames:
        raise BadInput(
            f"{artifact.file} does not take frames one chunk after the other, which is what edge/c gives; "
            "export a streaming network without a front end"
        )
    chosen = [golden for golden in goldens if golden.name in GOLDENS]
    if not chosen:
        raise BadInput(f"none of the goldens is {' or '.join(GOLDENS)}; export again")
    info, memory = read_file(content), memory_of(content)
    texts = {
        "model/model.h": sources.model_header(manifest, artifact, info, memory),
        "model/model.c": sources.model_source(content, info),
        "model/prior.c": sources.prior_source(manifest.normalization),
        "model/operators.h": sources.operators_header(info),
        "model/charset.h": sources.charset_header(),
        "model/golden.h": sources.golden_header(len(chosen), of_network=network is not None),
        "model/golden.c": sources.golden_source(chosen, artifact.form, network and in_bytes(network)),
    }
    figures = memory._asdict()
    if network is not None:
        written = network_source(network)
        texts |= {"model/network.h": written.header, "model/network.c": written.source}
        figures |= {"network_c_flash_bytes": written.flash_bytes, "network_c_ram_bytes": written.ram_bytes}
    texts["model/memory.json"] = json.dumps(figures, indent=1) + "\n"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    _copy_library(folder)
    for name in _COPIED:
        shutil.copyfile(_FILES / name, folder / name)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _copy_library(folder: Path) -> None:
    for part in ("qwrist", "qemu"):
        (folder / part).mkdir()
    for name in (*c.HEADERS, *c.SOURCES):
        shutil.copyfile(c.FOLDER / name, folder / "qwrist" / name)
    for name in c.QEMU:
        shutil.copyfile(c.FOLDER / "qemu" / name, folder / "qemu" / name)
