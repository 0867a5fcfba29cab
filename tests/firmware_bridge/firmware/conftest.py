"""The firmware's C beside the tests: a program under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import shutil

import pytest

from tests.mcu import toolchain
from tests.mcu.banding import Driver


@pytest.fixture(scope="session")
def band(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the firmware's C cannot be compiled here")
    folder = tmp_path_factory.mktemp("band")
    driver = Driver(toolchain.build_here(folder, "drive.c", code=toolchain.BAND, port="port_pipe.c"))
    yield driver
    assert driver.close() == 0
