"""Estimates: what Arm's tools say is kept and labelled, and what is absent leaves a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from export.mcu.estimates import ARM_PYTHON, write_estimates
from export.mcu.vela import VARIABLE


@pytest.fixture(autouse=True)
def no_vela(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))


def test_without_the_tools_each_leaves_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ARM_PYTHON, raising=False)
    said = write_estimates(tmp_path / "estimates", tmp_path, b"")
    assert len(said) == 2
    assert "vela is not installed" in said[0]
    assert "make setup-arm" in said[1]
    assert [path.name for path in (tmp_path / "estimates").iterdir()] == ["README.md"]


def test_a_tool_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ARM_PYTHON, sys.executable)  # which has no Arm tools, and is given no model
    _, cortex_m = write_estimates(tmp_path / "estimates", tmp_path / "no-model", b"")
    assert "holds no model.json" in cortex_m


def test_a_tool_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ARM_PYTHON, str(tmp_path / "python"))
    _, cortex_m = write_estimates(tmp_path / "estimates", tmp_path, b"")
    assert "No such file" in cortex_m
