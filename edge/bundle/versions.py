"""Which versions of a runtime may run an artifact, and whether this computer's is one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from typing import Final

from edge.bundle.manifest import VersionRange
from edge.bundle.refusal import BundleRefused, Refusal
from edge.manifest import RuntimeKind

# ExecuTorch promises a .pte to the release that made it (1.4) and to the one after it; its runtime does not
# check. A .tflite stays readable for ever, and LiteRT 2.3 is what ours were first proved on; tflite-runtime
# has TensorFlow's numbers, after which LiteRT began anew. TFLite Micro has no releases: a firmware pins a
# commit and proves it with the golden vectors.
_NEEDED: Final[dict[RuntimeKind, VersionRange]] = {
    "executorch": VersionRange(at_least="1.4", below="1.6"),
    "litert": VersionRange(at_least="2.3"),
}
_PACKAGES: Final[dict[RuntimeKind, tuple[str, ...]]] = {
    "executorch": ("executorch",),
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "tflm": ("tflite-micro",),
}


def needed(kinds: Iterable[RuntimeKind]) -> dict[RuntimeKind, VersionRange]:
    """What artifacts that are written today need."""
    return {kind: _NEEDED[kind] for kind in sorted(set(kinds)) if kind in _NEEDED}


def installed(kind: RuntimeKind) -> str | None:
    """The version of a runtime on this computer; None where it is not installed."""
    for package in _PACKAGES[kind]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def check(kind: RuntimeKind, wanted: VersionRange, found: str) -> None:
    """Raises BundleRefused where the version `found` is none of the `wanted`."""
    if _numbers(found) < _numbers(wanted.at_least):
        raise BundleRefused(
            Refusal.RUNTIME_TOO_OLD,
            f"this bundle needs {kind} {wanted.at_least} or later, and {found} is installed; update {kind}",
        )
    if wanted.below is not None and _numbers(found) >= _numbers(wanted.below):
        raise BundleRefused(
            Refusal.RUNTIME_TOO_NEW,
            f"this bundle was made for {kind} before {wanted.below}, and {found} is installed; "
            "export it again with that: qwrist export",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """1.4.1+cpu -> (1, 4, 1); what is no number ends it."""
    match = re.match(r"\d+(?:\.\d+)*", version, re.ASCII)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
