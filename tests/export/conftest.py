"""One export of each exportable network for all tests that read artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.manifest import RuntimeKind
from export.artifacts import export_model
from personalize.model import save_model
from tests.export.toys import talkative


@pytest.fixture(scope="session")
def streaming_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A streaming model with both artifacts. Read only."""
    return _exported(tmp_path_factory.mktemp("streaming"), "streaming", 4, ("executorch", "litert"))


@pytest.fixture(scope="session")
def whole_window_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spatial_lstm model with its .tflite. Read only."""
    return _exported(tmp_path_factory.mktemp("whole"), "spatial_lstm", 200, ("litert",))


@pytest.fixture(scope="session")
def whole_window_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spatial_lstm model with its .pte: half a minute to lower. Read only."""
    return _exported(tmp_path_factory.mktemp("program"), "spatial_lstm", 200, ("executorch",))


def _exported(folder: Path, name: str, chunk_frames: int, runtimes: Sequence[RuntimeKind]) -> Path:
    save_model(folder, *talkative(name, chunk_frames))
    export_model(folder, runtimes=runtimes)
    return folder
