"""Optional dependencies: imported where they are needed, missing ones named in one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType

from edge.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import an optional `module`, or raise MissingExtra naming the `extra` that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        raise MissingExtra(
            f"this needs the Python package {error.name!r}, which is not installed; "
            f"install it with: pip install 'qwrist[{extra}]'"
        ) from error
