"""The band's side of the link as C99 for its firmware: encoder, control point, a Zephyr sample; as data."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
HEADERS: Final = ("qwrist_band.h", "qwrist_packet.h", "qwrist_rice.h", "qwrist_wire.h")
SOURCES: Final = ("band.c", "bytes.c", "control.c", "packet.c", "packer.c", "rice.c")
ZEPHYR: Final = (
    "CMakeLists.txt",
    "prj.conf",
    "src/amplifier.c",
    "src/amplifier.h",
    "src/board.c",
    "src/board.h",
    "src/main.c",
    "src/radio.c",
    "src/radio.h",
)  # in zephyr/: where it plugs in
