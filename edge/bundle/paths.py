"""Names inside a bundle: plain on every system, so that none leads elsewhere and no two become one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_PARTS: Final = 6  # an Android source tree needs five
MAX_CHARACTERS: Final = 160  # within Windows' 260 wherever the bundle is put
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}(?<!\.)", re.ASCII)
# Windows opens a device for these, whatever follows the first dot.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


def fault(path: str) -> str | None:
    """Why `path` cannot name a file of a bundle; None where it can."""
    parts = path.split("/")
    if len(path) > MAX_CHARACTERS or len(parts) > MAX_PARTS:
        return f"is longer than {MAX_CHARACTERS} characters or deeper than {MAX_PARTS} levels"
    for part in parts:
        if _PART.fullmatch(part) is None:
            return "must be names of letters, digits, '_', '.', '+' and '-', with '/' between them"
        if part.split(".", 1)[0].lower() in _DEVICES:
            return f"holds {part!r}, which Windows takes for a device"
    return None


def first_fault(paths: Iterable[str]) -> str | None:
    """The first path that cannot be, or that another one hides where case does not count."""
    seen: dict[str, str] = {}
    for path in paths:
        found = fault(path)
        if found is not None:
            return f"{path!r} {found}"
        other = seen.setdefault(path.lower(), path)
        if other != path:
            return f"{path!r} and {other!r} are one file where case does not count"
    spelt: dict[str, str] = {}
    for path in seen.values():
        for folder in folders(path):
            if folder.lower() in seen:
                return f"{seen[folder.lower()]!r} is a file and {path!r} needs a folder of that name"
            if spelt.setdefault(folder.lower(), folder) != folder:
                return f"{folder!r} and {spelt[folder.lower()]!r} are one folder where case does not count"
    return None


def folders(path: str) -> list[str]:
    """The folders that lead to `path`, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]
