"""What edge/c says and takes on one emulated board, beside what it says on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.samples import RATE_HZ
from tests.mcu import toolchain
from tests.mcu.replaying import Replayed, Run, replay
from tests.mcu.signals import Scene, expected_of, hard_scene

FRAMES_PER_S = 125


class Report(NamedTuple):
    """One board's figures. Instructions are counted by QEMU: no cycles, no memory waits."""

    board: str
    identical: bool  # frames, validity and network input, bit for bit
    frames: int
    flash_bytes: int  # of edge/c, compiled for size
    stack_bytes: int  # high-water mark of the whole program
    front_instructions: int  # a frame: 16 samples of 32 electrodes, and their spectra
    norm_instructions: int

    @property
    def million_instructions_a_second(self) -> float:
        """Of signal."""
        return (self.front_instructions + self.norm_instructions) * FRAMES_PER_S / 1e6


def short_scene() -> Scene:
    """A second of the hard scene: typing, then the end of a dropout of both bands."""
    scene = hard_scene(seconds=5)
    part = slice(RATE_HZ // 2, RATE_HZ + RATE_HZ // 2)
    return Scene(scene.emg_uv[part], scene.valid[part])


def on_board(board: toolchain.Board, folder: Path, scene: Scene, main: str = "replay.c") -> Replayed:
    """`scene` through edge/c on an emulated board, normalised."""
    image = toolchain.build_for(board, folder, main)

    def run(where: Path) -> None:
        toolchain.emulate(board, image, where)

    return replay(run, folder, scene.emg_uv, scene.valid, norm=expected_of(scene).norm)


def on_this_computer(folder: Path, scene: Scene) -> Replayed:
    """The same here, under the sanitizers."""
    program = toolchain.build_here(folder, "replay.c")
    run: Run = lambda where: toolchain.run([program], where) and None  # noqa: E731
    return replay(run, folder, scene.emg_uv, scene.valid, norm=expected_of(scene).norm)


def report(board: toolchain.Board, folder: Path, here: Replayed) -> Report:
    """Build for `board`, run, compare with `here` and count."""
    found = on_board(board, folder, short_scene())
    frames, front, norm, stack = found.measured
    return Report(
        board.name,
        identical=_same(found, here),
        frames=frames,
        flash_bytes=toolchain.library_sizes(board, folder).flash,
        stack_bytes=stack,
        front_instructions=front // frames,
        norm_instructions=norm // frames,
    )


def _same(a: Replayed, b: Replayed) -> bool:
    pairs = (*zip(a.frames, b.frames, strict=True), (a.network_input, b.network_input))
    return all(np.array_equal(x, y) for x, y in pairs)
