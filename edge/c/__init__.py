"""The C99 twin of frames, normalisation and greedy decoding, for microcontrollers: its sources, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
HEADERS: Final = ("qwrist.h", "qwrist_constants.h", "qwrist_internal.h", "qwrist_kernels.h")
SOURCES: Final = ("arithmetic.c", "decode.c", "front.c", "kernels.c", "normalize.c", "spectrum.c", "tables.c")
QEMU: Final = ("board.c", "board.h", "cortex_m.ld", "startup.c")  # in qemu/: emulated boards
