"""edge/c on emulated Cortex-M boards: the very bits that this computer gives, in little flash and stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.ctc import greedy
from edge.edits import text_of
from tests.edge.test_c import random_emissions
from tests.mcu import toolchain
from tests.mcu.boards import on_this_computer, report, short_scene
from tests.mcu.replaying import Replayed, decode

FLASH_BYTES = 5120  # of all of edge/c; measured: below 4,500
STACK_BYTES = 2048  # measured: below 1,000

pytestmark = pytest.mark.skipif(
    bool(toolchain.missing_tools()),
    reason=f"{', '.join(toolchain.missing_tools())} not installed (make test-mcu insists)",
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return on_this_computer(tmp_path_factory.mktemp("here"), short_scene())


_EVERYDAY = "mps2-an386"  # Cortex-M4F; the others' seconds belong to make test-slow


@pytest.mark.parametrize(
    "board",
    [
        pytest.param(board, id=board.machine, marks=() if board.machine == _EVERYDAY else pytest.mark.slow)
        for board in toolchain.BOARDS
    ],
)
def test_a_cortex_m_says_the_very_bits(board: toolchain.Board, here: Replayed, tmp_path: Path) -> None:
    found = report(board, tmp_path, here)
    assert found.identical
    assert found.frames == len(here.network_input) > 100
    assert 0 < found.flash_bytes <= FLASH_BYTES
    assert 0 < found.stack_bytes <= STACK_BYTES
    assert found.front_instructions > 0


def test_keys_and_text_on_a_cortex_m(tmp_path: Path) -> None:
    board = toolchain.BOARDS[1]
    image = toolchain.build_for(board, tmp_path, "replay.c")
    log_probs = random_emissions(seed=7, count=400)
    said = decode(lambda folder: toolchain.emulate(board, image, folder), tmp_path, log_probs)
    assert said.labels == greedy(log_probs)
    assert said.text == text_of(greedy(log_probs))
    assert len(said.text) > 5
