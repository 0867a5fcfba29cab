"""One microcontroller's folder for all tests that read it."""

from __future__ import annotations

import pytest

from tests.export.mcu.making import Made, make_micro


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Read only."""
    return make_micro(tmp_path_factory.mktemp("mcu") / "c")
