"""A folder with the very bytes of a bundle that were verified, for what reads files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.bundle.opening import OpenBundle


@contextmanager
def unpacked(bundle: OpenBundle) -> Iterator[Path]:
    """Such a folder, for as long as the block runs; what happens to the bundle's own changes nothing."""
    with tempfile.TemporaryDirectory(prefix="qwrist-") as name:
        for path, content in bundle.contents.items():
            (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / path).write_bytes(content)
        yield Path(name)
