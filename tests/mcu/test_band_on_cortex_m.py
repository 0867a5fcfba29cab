"""The band's C on emulated Cortex-M boards: the bytes of this computer, in little flash, RAM and stack."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from firmware_bridge.packet import Codec, decode
from tests.mcu import toolchain
from tests.mcu.band_boards import (
    answers,
    band_report,
    build,
    readings,
    reference_packets,
    stream,
    typing_counts,
)
from tests.mcu.replaying import Run

FLASH_BYTES = 4096  # of the whole library, decoder included; measured: below 3,400
BAND_BYTES = 1536  # measured: 1,520
STACK_BYTES = 1024  # measured: below 800
RICE_INSTRUCTIONS = 4000  # a sample; measured: below 3,000

pytestmark = pytest.mark.skipif(
    bool(toolchain.missing_tools()),
    reason=f"{', '.join(toolchain.missing_tools())} not installed (make test-mcu insists)",
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build(toolchain.BOARDS[1], tmp_path_factory.mktemp("board")).there


def read_and_written(data: bytes) -> bytes:
    """What drive.c says of a packet: taken, its header, its counts; then its bytes again."""
    codec, flags, sequence, first_index, boot, counts = decode(data)
    head = struct.pack("<BBBBBHI", 0, codec.value, flags, boot, len(counts), sequence, first_index)
    return head + counts.tobytes() + len(data).to_bytes(2, "little") + data


_EVERYDAY = "mps2-an386"  # Cortex-M4F; the others' seconds belong to make test-slow


@pytest.mark.parametrize(
    "board",
    [
        pytest.param(board, id=board.machine, marks=() if board.machine == _EVERYDAY else pytest.mark.slow)
        for board in toolchain.BOARDS
    ],
)
def test_a_cortex_m_says_the_very_bytes(board: toolchain.Board, tmp_path: Path) -> None:
    found = band_report(board, tmp_path)
    assert found.identical
    assert 0 < found.flash_bytes <= FLASH_BYTES
    assert 0 < found.band_bytes <= BAND_BYTES
    assert 0 < found.stack_bytes <= STACK_BYTES
    assert 0 < max(found.instructions) <= RICE_INSTRUCTIONS


@pytest.mark.parametrize("codec", Codec)
def test_a_cortex_m_sends_and_reads_what_the_reference_does(codec: Codec, image: Run, tmp_path: Path) -> None:
    counts = typing_counts(0.1)
    packets = reference_packets(codec, counts)
    streamed, _ = answers(image, tmp_path, stream(codec, counts))
    sent = [len(packet).to_bytes(2, "little") + packet for packet in packets[:-1]]  # a worn band has no end
    assert len(sent) > 5
    assert b"".join(sent[:-1]) in streamed
    assert streamed.endswith(sent[-1])
    read, _ = answers(image, tmp_path, readings(packets))
    assert read == b"".join(map(read_and_written, packets))
