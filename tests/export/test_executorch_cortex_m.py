"""The Cortex-M program: what is refused here, and what is emitted where its tools are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from edge.errors import BadInput, MissingExtra
from export.executorch.cortex_m import emit, main
from tests.export.executorch_toys import windowed_network
from tests.export.toys import random_frames, small_network

HAS_TOOLS = importlib.util.find_spec("tosa_serializer") is not None


def test_a_network_that_reads_ahead_is_refused() -> None:
    with pytest.raises(BadInput, match=r"reads ahead.*choose streaming or micro"):
        emit(windowed_network(0, lookahead=None), [random_frames(0, 4)])


def test_no_calibration_is_refused() -> None:
    with pytest.raises(BadInput, match="there are none"):
        emit(small_network(0), [])


@pytest.mark.skipif(HAS_TOOLS, reason="the Arm tools are installed")
def test_without_the_tools_the_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'qwrist\[arm\]'"):
        emit(small_network(0), [random_frames(0, 4)])


@pytest.mark.skipif(not HAS_TOOLS, reason="needs the Arm environment (constraints/arm.txt)")
def test_the_program_is_int8_and_says_that_it_was_not_executed() -> None:
    program, emission = emit(small_network(0), [random_frames(0, 40)])
    assert emission.status == "emitted, not executed"
    assert emission.bytes == len(program)
    assert "cortex_m::quantized_linear.out" in emission.operators
    assert not [name for name in emission.operators if "aten::linear" in name or "addmm" in name]
    assert emission.calibration_frames == 40
    assert 0 < emission.max_delta_in_torch < 2.0


def test_a_folder_without_a_model_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_its_use_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "MODEL_FOLDER OUT_FOLDER" in capsys.readouterr().err
