"""What the firmware's C says and takes on one emulated board, beside what it says on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.samples import RATE_HZ
from firmware_bridge.packet import Codec, decode, encode, notification_bytes
from firmware_bridge.packetizer import Packetizer, PacketizerState, packet_samples
from tests.mcu import banding, toolchain
from tests.mcu.banding import Header, Link, Measured, Traits
from tests.mcu.replaying import Run
from tests.mcu.signals import typing_scene

_MAIN: Final = "drive.c"
_UV_PER_COUNT: Final = 0.2
_MTU: Final = 247  # one link layer packet a notification


class BandReport(NamedTuple):
    """One board's figures. Instructions are counted by QEMU: no cycles, no memory waits."""

    board: str
    identical: bool  # every packet, and all that is said of the reference's and the golden ones
    flash_bytes: int  # of all of firmware_bridge/firmware, decoder included, compiled for size
    band_bytes: int  # of RAM: qwb_band
    stack_bytes: int  # high-water mark of the whole program
    instructions: tuple[int, ...]  # a sample of 16 electrodes, by codec
    most_instructions: int  # of the sample that closes the dearest packet


class Builds(NamedTuple):
    """The same program for this computer and for a board, each run in a folder of its files."""

    here: Run
    there: Run


def typing_counts(seconds: float = 0.5) -> banding.Int16:
    """(T, E) counts of 0.2 microvolts: half typing, half at rest."""
    emg_uv = typing_scene(seconds=2 * seconds).emg_uv[:, 0]
    half = round(seconds * RATE_HZ / 2)
    both = np.concatenate([emg_uv[:half], emg_uv[-half:]])
    counts: banding.Int16 = np.clip(np.rint(both / _UV_PER_COUNT), -(2**15), 2**15 - 1).astype(np.int16)
    return counts


def stream(codec: Codec, counts: banding.Int16, mtu: int = _MTU) -> bytes:
    """Commands: a band boots, is connected, configured and started, and samples."""
    config = bytes([3, 1, codec.value, 1 << codec.value]) + RATE_HZ.to_bytes(2, "little")
    link = banding.connect(Link(mtu=mtu))
    begin = [banding.boot(Traits()), link, banding.control(config), banding.control(b"\x01\x02")]
    return b"".join([*begin, banding.push(counts), banding.skip(1)])


def reference_packets(codec: Codec, counts: banding.Int16) -> list[bytes]:
    """What the reference makes of the same samples, and the packet that ends a stream."""
    value_bytes = notification_bytes(_MTU)
    packetizer = Packetizer(codec, packet_samples(codec, _MTU), Traits().boot, value_bytes)
    valid = np.ones(len(counts), np.bool_)
    state, full = packetizer.step(PacketizerState(), banding.microvolts(counts, codec), valid)
    return [encode(packet) for packet in [*full, *packetizer.end(state)]]


def readings(packets: list[bytes]) -> bytes:
    """Commands: each packet is read, and where it is one, written again."""
    commands = []
    for data in packets:
        commands.append(banding.decode(data))
        codec, flags, sequence, first_index, boot, counts = decode(data)
        commands.append(
            banding.encode(Header(codec.value, int(flags), boot, sequence, first_index, counts), len(data))
        )
    return b"".join(commands)


def build(board: toolchain.Board, folder: Path) -> Builds:
    """Compile for this computer, under the sanitizers, and for `board`."""
    program = toolchain.build_here(folder, _MAIN, code=toolchain.BAND)
    image = toolchain.build_for(board, folder, _MAIN, code=toolchain.BAND)
    return Builds(
        lambda where: toolchain.run([program], where) and None,
        lambda where: toolchain.emulate(board, image, where),
    )


def answers(run: Run, folder: Path, commands: bytes) -> tuple[bytes, Measured]:
    """What the program says to `commands`, and what it measured."""
    (folder / "input.bin").write_bytes(commands)
    run(folder)
    return banding.split_measured((folder / "output.bin").read_bytes())


def band_report(board: toolchain.Board, folder: Path) -> BandReport:
    """Build for `board`; stream and read in each codec, there and here; compare, count."""
    builds = build(board, folder)
    counts = typing_counts()
    courses = [stream(codec, counts) for codec in Codec]
    courses += [readings(reference_packets(codec, counts[:200])) for codec in Codec]
    packets = [data for data, _ in banding.golden().taken]
    courses.append(readings(packets) + b"".join(map(banding.decode, banding.golden().refused)))
    found = [answers(builds.there, folder, course) for course in courses]
    expected = [answers(builds.here, folder, course) for course in courses]
    streams = [measured for _, measured in found[: len(Codec)]]
    return BandReport(
        board.name,
        identical=[said for said, _ in found] == [said for said, _ in expected],
        flash_bytes=toolchain.library_sizes(board, folder, toolchain.BAND).flash,
        band_bytes=streams[0].band_bytes,
        stack_bytes=max(measured.stack_bytes for _, measured in found),
        instructions=tuple(measured.instructions // measured.samples for measured in streams),
        most_instructions=max(measured.most for measured in streams),
    )
