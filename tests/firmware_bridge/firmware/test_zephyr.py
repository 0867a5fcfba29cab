"""The Zephyr sample compiles against a stub of what it uses of Zephyr, with which it was never built."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from firmware_bridge.firmware import FOLDER, SOURCES, ZEPHYR
from firmware_bridge.gatt import BAND_SERVICE, CONTROL, STATUS, STREAM, parse_name
from tests.mcu import toolchain

SAMPLE = FOLDER / "zephyr"
STUB = Path(__file__).parent / "zephyr_stub"


def test_every_file_is_listed():
    assert {str(path.relative_to(SAMPLE)) for path in SAMPLE.rglob("*.*")} == {*ZEPHYR}


@pytest.mark.parametrize("name", [name for name in ZEPHYR if name.endswith(".c")])
def test_it_compiles_against_the_stub(name, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the sample cannot be compiled here")
    toolchain.run(
        ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-fsyntax-only",
         f"-I{FOLDER}", f"-I{STUB}", SAMPLE / name],
        tmp_path,
    )  # fmt: skip


def test_it_builds_every_source_of_the_library():
    listed = re.findall(r"\$\{BAND\}/(\w+\.c)", (SAMPLE / "CMakeLists.txt").read_text())
    assert sorted(listed) == sorted(SOURCES)


def test_it_is_the_band_that_hosts_look_for():
    radio, options = (SAMPLE / "src/radio.c").read_text(), (SAMPLE / "prj.conf").read_text()
    family = re.search(r"ENCODE\(0x(\w{4})0000 \+ \(number\), 0x(\w+), 0x(\w+), 0x(\w+), 0x(\w+)\)", radio)
    numbers = {name: int(n) for name, n in re.findall(r"(\w+)_uuid = .*BAND_UUID\((\d)\)", radio)}
    assert family is not None
    first, *others = family.groups()
    assert {name: "-".join([f"{first}{n:04x}", *others]) for name, n in numbers.items()} == {
        "service": BAND_SERVICE, "stream": STREAM, "control": CONTROL, "status": STATUS
    }  # fmt: skip
    name = re.search(r'CONFIG_BT_DEVICE_NAME="(.*)"', options)
    assert name is not None
    assert parse_name(name[1]) == (1, "left")
    assert f'CONFIG_BT_DEVICE_NAME "{name[1]}"' in (STUB / "zephyr/bluetooth/bluetooth.h").read_text()
