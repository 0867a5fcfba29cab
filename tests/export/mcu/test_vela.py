"""The estimate: read from a program that answers as vela does, none where there is none, and the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from export.mcu import vela_estimate
from export.mcu.vela import VARIABLE, find_vela
from tests.export.mcu.making import Made

_ANSWER = """\
import sys
if "--version" in sys.argv:
    print("5.2.0")
else:
    open("model_summary_X.csv", "w").write({table!r})
    print("CPU operators = 45 (61.6%)\\nNPU operators = 28 (38.4%)")
    sys.exit({status})
"""
_TABLE = (
    "system_config,memory_mode,inference_time,cycles_total,sram_memory_used,off_chip_flash_memory_used\n"
    "Fast,Shared_Sram,0.00067432,337160,18.375,313.08\n"
)


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, table: str = _TABLE, status: int = 0) -> None:
    program = folder / "vela"
    program.write_text(f"#!{sys.executable}\n{_ANSWER.format(table=table, status=status)}")
    program.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(program))


def test_what_vela_says_is_read_and_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch)
    estimate = vela_estimate(b"")
    assert estimate is not None
    assert estimate.ms_per_call == pytest.approx(0.67432)
    assert (estimate.npu_operators, estimate.cpu_operators) == (28, 45)
    assert "estimate by vela, not executed" in str(estimate)
    assert "not executed" in estimate.model_dump_json()


@pytest.mark.parametrize(
    ("table", "status"), [(_TABLE, 1), ("", 0), ("a,b\n1,2\n", 0), (_TABLE.replace("337160", "many"), 0)]
)
def test_what_cannot_be_read_is_no_estimate(
    table: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, monkeypatch, table, status)
    assert vela_estimate(b"") is None


def test_without_vela_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    assert vela_estimate(b"") is None


@pytest.mark.slow
def test_the_real_vela_estimates_micro(made: Made) -> None:
    if find_vela() is None:
        pytest.skip(f"vela is not installed (its own environment; {VARIABLE} names it)")
    for accelerator in ("ethos-u55-128", "ethos-u55-256"):
        estimate = vela_estimate(made.content, accelerator)  # type: ignore[arg-type]
        assert estimate is not None
        assert 0 < estimate.ms_per_call < 16  # faster than emissions come
        assert estimate.npu_operators > 20
