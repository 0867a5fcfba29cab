"""The whole decoder as C for any network of the streaming family: written into a folder, built, run."""

from __future__ import annotations

from pathlib import Path

from edge.manifest import ModelManifest
from export.mcu.network import network_source
from export.mcu.sources import prior_source
from personalize.networks import Network

_DECLARATION = '#include "qwrist.h"\n\nextern const qw_prior qw_model_prior;\n'


def write_model(folder: Path, network: Network, manifest: ModelManifest) -> Path:
    """The part of a bundle's c/model that tests/mcu/firmware/decode.c needs."""
    written = network_source(network.spec())
    texts = {
        "network.h": written.header,
        "network.c": written.source,
        "prior.c": prior_source(manifest.normalization),
        "model.h": _DECLARATION,
    }
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder
