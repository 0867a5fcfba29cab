"""make test-mcu: edge/c on every emulated board; fails where a tool is absent or a bit differs."""

# ruff: noqa: T201  (a script)

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.mcu import toolchain
from tests.mcu.boards import on_this_computer, report, short_scene

_COLUMNS = "{:20} {:>9} {:>8} {:>8} {:>14} {:>14} {:>12}"


def main() -> int:
    """Run every board; 0 where all agree."""
    missing = toolchain.missing_tools()
    if missing:
        print(f"{', '.join(missing)} not installed; install gcc-arm-none-eabi and qemu-system-arm")
        return 1
    print("edge/c on Cortex-M boards that QEMU emulates. Instructions are no cycles.\n")
    print(
        _COLUMNS.format("core", "same bits", "flash B", "stack B", "front/frame", "norm/frame", "M instr./s")
    )
    agreed = True
    with tempfile.TemporaryDirectory() as name:
        here = on_this_computer(Path(name), short_scene())
        for board in toolchain.BOARDS:
            found = report(board, Path(name), here)
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
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
