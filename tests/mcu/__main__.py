"""make test-mcu: the C on every emulated board; fails where a tool is absent or a bit differs."""

# ruff: noqa: T201  (a script)

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from export.golden.scenarios import rehearsed
from tests.export.toys import talkative
from tests.mcu import toolchain
from tests.mcu.band_boards import band_report
from tests.mcu.boards import on_this_computer, report, short_scene
from tests.mcu.deciding import decide
from tests.mcu.whole import write_model

_COLUMNS = "{:20} {:>9} {:>8} {:>8} {:>14} {:>14} {:>12}"
_BAND_COLUMNS = "{:20} {:>9} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}"


def main() -> int:
    """Run every board; 0 where all agree."""
    missing = toolchain.missing_tools()
    if missing:
        print(f"{', '.join(missing)} not installed; install gcc-arm-none-eabi and qemu-system-arm")
        return 1
    with tempfile.TemporaryDirectory() as name:
        agreed = _front_ends(Path(name))
        agreed &= _whole_decoder(Path(name))
        agreed &= _bands(Path(name))
    return 0 if agreed else 1


def _front_ends(folder: Path) -> bool:
    print("edge/c on Cortex-M boards that QEMU emulates. Instructions are no cycles.\n")
    print(
        _COLUMNS.format("core", "same bits", "flash B", "stack B", "front/frame", "norm/frame", "M instr./s")
    )
    here = on_this_computer(folder, short_scene())
    agreed = True
    for board in toolchain.BOARDS:
        found = report(board, folder, here)
        agreed &= found.identical
        print(
            _COLUMNS.format(
                found.board,
                "yes" if found.identical else "NO",
                f"{found.flash_bytes:,}",
                f"{found.stack_bytes:,}",
                f"{found.front_instructions:,}",
                f"{found.norm_instructions:,}",
                f"{found.million_instructions_a_second:.0f}",
            )
        )
    return agreed


def _whole_decoder(folder: Path) -> bool:
    """The micro network as C, untrained: neither sizes nor instructions depend on its weights."""
    network, manifest = talkative("micro", 2)
    model = write_model(folder / "model", network, manifest)
    scenario = rehearsed(3.0)
    program = toolchain.build_here(folder, "decode.c", model)
    here = decide(lambda where: toolchain.run([program], where) and None, folder, scenario)
    board = next(board for board in toolchain.BOARDS if board.name == "Cortex-M4F")
    image = toolchain.build_for(board, folder, "decode.c", model)
    there = decide(lambda where: toolchain.emulate(board, image, where), folder, scenario)
    same = np.array_equal(here.log_probs, there.log_probs) and here.text == there.text
    sizes = toolchain.image_sizes(image, folder)
    print(
        f"\nRaw samples to text through micro on a {board.name}: {'same bits' if same else 'OTHER BITS'}, "
        f"{len(here.log_probs)} emissions, {sizes.flash:,} B of flash, {sizes.ram:,} B of RAM, "
        f"{there.stack_bytes:,} B of stack, {there.instructions:,} instructions an emission"
    )
    return same


def _bands(folder: Path) -> bool:
    print("\nA band's firmware, packets of MTU 247. Instructions a sample of 16 electrodes.\n")
    titles = ("core", "same bits", "flash B", "qwb_band B", "stack B", "raw16", "pack12", "rice12", "longest")
    print(_BAND_COLUMNS.format(*titles))
    agreed = True
    for board in toolchain.BOARDS:
        found = band_report(board, folder)
        agreed &= found.identical
        sizes = (found.flash_bytes, found.band_bytes, found.stack_bytes)
        figures = [f"{n:,}" for n in (*sizes, *found.instructions, found.most_instructions)]
        print(_BAND_COLUMNS.format(found.board, "yes" if found.identical else "NO", *figures))
    return agreed


if __name__ == "__main__":
    sys.exit(main())
