"""The C as a firmware project takes it: all of it, from C++ as well."""

from __future__ import annotations

import shutil

import pytest

from firmware_bridge.firmware import FOLDER, HEADERS, SOURCES
from tests.mcu import toolchain


def test_every_file_is_listed():
    assert {path.name for path in FOLDER.glob("*.[ch]")} == {*HEADERS, *SOURCES}


@pytest.mark.parametrize("header", ["qwrist_band.h", "qwrist_packet.h"])
def test_the_interface_is_that_of_cpp_too(header, tmp_path):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: the header cannot be compiled as C++ here")
    (tmp_path / "main.cc").write_text(f'#include "{header}"\nint main() {{ return qwb_twelve_bits(0); }}\n')
    program = tmp_path / "main"
    toolchain.run(["gcc", "-std=c99", "-c", *toolchain.BAND.sources, f"-I{FOLDER}"], tmp_path)
    objects = [f"{source.stem}.o" for source in toolchain.BAND.sources]
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    toolchain.run(["g++", *strict, f"-I{FOLDER}", "main.cc", *objects, "-o", program], tmp_path)
    toolchain.run([program], tmp_path)
