"""Compilers and emulated boards: from C sources to a program that runs, here or on a Cortex-M under QEMU."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from edge import c
from edge.errors import MissingExtra
from firmware_bridge import firmware

FIRMWARE: Final = Path(__file__).parent / "firmware"
STRICT: Final = (
    "-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-pedantic",
)  # fmt: skip
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_CROSS: Final = "arm-none-eabi-"
_LIMIT_S: Final = 600  # far above any run here: a program that hangs is a failure, not a wait


@dataclass(frozen=True)
class Board:
    """A Cortex-M board that QEMU emulates, and the two memories that an image for it uses."""

    name: str
    machine: str
    flags: tuple[str, ...]  # of the compiler
    flash: tuple[int, int]  # origin, bytes
    ram: tuple[int, int]


BOARDS: Final = (
    Board("Cortex-M3 (no FPU)", "mps2-an385", ("-mcpu=cortex-m3",), (0, 4 << 20), (0x20000000, 4 << 20)),
    Board(
        "Cortex-M4F", "mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        (0, 4 << 20), (0x20000000, 4 << 20),
    ),
    Board(
        "Cortex-M7F", "mps2-an500", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"),
        (0, 4 << 20), (0x20000000, 4 << 20),
    ),
    Board(
        "Cortex-M33F", "mps2-an505", ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
        (0x10000000, 4 << 20), (0x38000000, 4 << 20),
    ),
    Board(
        "Cortex-M55F", "mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
        (0x10000000, 512 << 10), (0x30000000, 512 << 10),
    ),
)  # fmt: skip


class Code(NamedTuple):
    """A library of C: where it lies and what is compiled of it."""

    folder: Path
    names: tuple[str, ...]

    @property
    def sources(self) -> list[Path]:
        """Paths of the files to compile."""
        return [self.folder / name for name in self.names]


EDGE: Final = Code(c.FOLDER, c.SOURCES)
BAND: Final = Code(firmware.FOLDER, firmware.SOURCES)


class Sizes(NamedTuple):
    """Bytes of an image or object file: code and constants, and variables."""

    flash: int
    ram: int


def missing_tools() -> tuple[str, ...]:
    """The programs that the Cortex-M runs need and that are not installed."""
    needed = (f"{_CROSS}gcc", f"{_CROSS}size", "qemu-system-arm")
    return tuple(tool for tool in needed if shutil.which(tool) is None)


def _compiler(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingExtra(f"{name} is not installed; install gcc, gcc-arm-none-eabi and qemu-system-arm")
    return path


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a program in `folder`; its output. Raises CalledProcessError, its output in the notes."""
    arguments = [str(part) for part in command]
    done = subprocess.run(
        arguments, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, arguments)
        error.add_note(done.stdout + done.stderr)
        raise error
    return done.stdout


def build_here(
    folder: Path, main: str, model: Path | None = None, *, code: Code = EDGE, port: str = "port_host.c"
) -> Path:
    """Compile `code` and `main` of tests/mcu/firmware for this computer, with the C of a `model`'s folder."""
    program = folder / main.removesuffix(".c")
    run(
        [_compiler("gcc"), *STRICT, "-O1", "-g", *SANITIZERS, f"-I{code.folder}", f"-I{FIRMWARE}",
         *_of_model(model), *code.sources, FIRMWARE / main, FIRMWARE / port, "-o", program],
        folder,
    )  # fmt: skip
    return program


def build_for(board: Board, folder: Path, main: str, model: Path | None = None, *, code: Code = EDGE) -> Path:
    """The same for `board`, freestanding: no C library is linked, only the compiler's own support."""
    qemu = c.FOLDER / "qemu"
    image = folder / f"{main.removesuffix('.c')}.elf"
    memory = {
        "flash_origin": board.flash[0], "flash_bytes": board.flash[1],
        "ram_origin": board.ram[0], "ram_bytes": board.ram[1],
    }  # fmt: skip
    run(
        [_compiler(f"{_CROSS}gcc"), *STRICT, "-ffreestanding", "-O2", "-mthumb", *board.flags,
         "-fno-tree-loop-distribute-patterns", "-ffunction-sections", "-fdata-sections",
         f"-I{code.folder}", f"-I{qemu}", f"-I{FIRMWARE}", *_of_model(model), *code.sources,
         FIRMWARE / main, FIRMWARE / "port_qemu.c", qemu / "startup.c", qemu / "board.c",
         "-nostdlib", "-Wl,--gc-sections", f"-T{qemu / 'cortex_m.ld'}",
         *(f"-Wl,--defsym={name}={value:#x}" for name, value in memory.items()), "-lgcc", "-o", image],
        folder,
    )  # fmt: skip
    return image


def _of_model(model: Path | None) -> list[str | Path]:
    if model is None:
        return []
    return [f"-I{model}", model / "network.c", model / "prior.c"]


def emulate(board: Board, image: Path, folder: Path) -> None:
    """Run `image` to its end in `folder`, one nanosecond of its clock an instruction."""
    run(
        [_compiler("qemu-system-arm"), "-machine", board.machine, "-nographic", "-monitor", "none",
         "-serial", "none", "-icount", "shift=0", "-semihosting-config", "enable=on,target=native",
         "-kernel", image],
        folder,
    )  # fmt: skip


def image_sizes(image: Path, folder: Path) -> Sizes:
    """What a whole image takes, without its stack."""
    text, data, bss = map(int, run([_compiler(f"{_CROSS}size"), image], folder).splitlines()[1].split()[:3])
    return Sizes(text + data, data + bss)


def library_sizes(board: Board, folder: Path, code: Code = EDGE) -> Sizes:
    """What `code` takes in a firmware for `board`, compiled for size."""
    objects = [folder / f"{source.stem}.o" for source in code.sources]
    for source, target in zip(code.sources, objects, strict=True):
        run(
            [_compiler(f"{_CROSS}gcc"), *STRICT, "-ffreestanding", "-Os", "-mthumb", *board.flags,
             "-c", source, "-o", target],
            folder,
        )  # fmt: skip
    rows = run([_compiler(f"{_CROSS}size"), *objects], folder).splitlines()[1:]
    text, data, bss = (sum(int(row.split()[column]) for row in rows) for column in range(3))
    return Sizes(text + data, data + bss)
