"""Bench: the arithmetic is counted right, ratios compare like with like, and every contender is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.features import BINS
from edge.manifest import Artifact, Form, sha256_of, write_manifest
from edge.samples import ELECTRODES, WRISTS
from export import tflite
from export.bench import (
    COST_COLUMNS,
    SPEED_COLUMNS,
    BenchReport,
    BenchRow,
    bench,
    cost_rows,
    macs,
    read_bench,
    speed_rows,
    write_bench,
)
from export.bench.examples import example
from export.parity import spec_of
from personalize import spec
from personalize.forms import form_of
from personalize.networks import build
from tests.export.toys import random_array, random_band, random_cell, random_norm, talkative


def test_the_multiply_accumulates_of_the_shipped_networks() -> None:
    """Goldens, by hand for streaming: a stride of 2 halves the rows of a chunk of 4 frames."""
    streaming = build("streaming").spec()
    a_row = 2 * 96 * 16 * 33 + 2 * 192 * 192 * 9 + 4 * 96 * (192 + 96) + 99 * (192 + 96)
    assert macs(streaming, form_of(streaming, chunk_frames=4)) == 2 * a_row
    whole = build("spatial_lstm").spec()
    recurrent = 2 * 512 * (768 + 128) + 3 * 2 * 512 * (256 + 128)
    a_frame = 32 * 33 + 3 * 768 * 16 * 33 + recurrent + 2 * 256 * 256 + 99 * 256
    assert macs(whole, form_of(whole, chunk_frames=500, whole_window=True)) == 500 * a_frame


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), frames=st.integers(1, 5), lookahead=st.integers(0, 4))
def test_a_lookahead_is_computed_again_each_call(seed: int, frames: int, lookahead: int) -> None:
    rng = np.random.default_rng(seed)
    cell, head = random_cell(rng, 8, 3), random_array(rng, 5, 6)
    layers = (
        random_band(rng, 4, (-1, 0, 1)),
        random_norm(rng, 8),
        spec.BiLstm(cell, cell, lookahead),
        spec.DropTail(lookahead),
        spec.Linear(head, head[:, 0]),
    )
    network = spec.NetworkSpec("toy", layers, 1)
    form = form_of(network, chunk_frames=frames, lookahead_frames=lookahead)
    a_row = 3 * WRISTS * 4 * ELECTRODES * BINS + 2 * (12 * 8 + 12 * 3)
    assert macs(network, form) == (frames + lookahead) * a_row + frames * 30


def test_a_front_end_costs_its_filter_once_a_hop() -> None:
    _, manifest = talkative("streaming", 4)
    network = build("streaming")
    form = manifest.form.model_copy(update={"takes": "samples"})
    behind, alone = spec_of(network, manifest, form), network.spec()
    cost = macs(behind, form) - macs(alone, manifest.form)
    assert cost == (4 + 3) * 18 * 18 * 32 + 4 * 66 * 64 * 32


def row_of(**changes: object) -> BenchRow:
    plain = {
        "contender": "LiteRT", "file": "model.tflite", "precision": "float32", "takes": "frames",
        "chunk_frames": 4, "lookahead_frames": 0, "whole_window": False, "bytes": 4_000_000, "load_ms": 10.0,
        "idle_mb": 50.0, "peak_mb": 60.0, "calls": 100, "cpu_ms_median": 0.5, "cpu_ms_p99": 1.0,
        "wall_ms_median": 0.6, "wall_ms_p99": 2.0, "macs_per_call": 1_600_000,
    }  # fmt: skip
    return BenchRow.model_validate(plain | changes)


def report_of(*entries: BenchRow) -> BenchReport:
    return BenchReport(network="streaming", machine="a machine", threads=1, rows=entries)


def test_the_figures_of_a_row_are_of_a_second_of_signal() -> None:
    row = row_of()
    assert row.signal_ms == 32.0
    assert row.real_time_factor == 0.5 / 32
    assert row.mmac_per_s == pytest.approx(50.0)
    assert row.weights_mb_per_s == pytest.approx(125.0)
    assert row.gmac_per_cpu_s == pytest.approx(3.2)


def test_only_equals_are_compared() -> None:
    torch = row_of(contender="torch eager", file=None, cpu_ms_median=4.0)
    onnx = row_of(contender="ONNX Runtime", file=None, cpu_ms_median=0.25, precision="int8_dynamic")
    floats, quantized = row_of(), row_of(precision="int8_dynamic", cpu_ms_median=0.125)
    longer = row_of(chunk_frames=8)
    report = report_of(torch, onnx, floats, quantized, longer)
    assert report.times(floats, "torch eager") == 8.0
    assert report.times(floats, "ONNX Runtime") is None
    assert report.times(quantized, "torch eager") is None
    assert report.times(quantized, "ONNX Runtime") == 2.0
    assert report.times(longer, "torch eager") is None
    speed, cost = speed_rows(report), cost_rows(report)
    assert all(len(line) == len(SPEED_COLUMNS) for line in speed)
    assert all(len(line) == len(COST_COLUMNS) for line in cost)
    assert [line[:2] for line in speed] == [line[:2] for line in cost]
    assert [line[6] for line in speed] == ["8.00", "1.00", "-", "-", "-"]


def test_a_report_survives_the_file(tmp_path: Path) -> None:
    report = report_of(row_of())
    write_bench(tmp_path, report)
    assert read_bench(tmp_path) == report
    with pytest.raises(BadInput, match="bench"):
        read_bench(tmp_path / "none")


def test_the_example_is_what_a_form_takes() -> None:
    for form in (
        Form(chunk_frames=4, lookahead_frames=2),
        Form(chunk_frames=4, takes="samples"),
        Form(chunk_frames=4, takes="samples_int16", uv_per_lsb=0.2),
    ):
        x = example(form)
        if form.takes == "frames":
            assert not isinstance(x, tuple)
            assert (x.shape, x.dtype) == ((6, WRISTS, ELECTRODES, BINS), np.float32)
            continue
        samples, valid = x
        assert samples.shape == (form.input_samples, WRISTS, ELECTRODES)
        assert samples.dtype == (np.int16 if form.uv_per_lsb else np.float32)
        assert np.abs(samples).max() > 100
        assert valid.shape == (4, WRISTS)


@pytest.mark.slow
def test_every_contender_is_measured(tmp_path: Path) -> None:
    network, manifest = talkative("streaming", 4)
    artifacts = []
    for precision in ("float32", "int8_dynamic"):
        form = manifest.form.model_copy(update={"precision": precision})
        content, made = tflite.lower(network.spec(), form)
        path = tmp_path / f"{precision}.tflite"
        path.write_bytes(content)
        digest = sha256_of(path)
        artifacts.append(
            Artifact(file=path.name, runtime="litert", sha256=digest, bytes=len(content), form=made)
        )
    write_manifest(tmp_path, manifest.model_copy(update={"artifacts": tuple(artifacts)}))
    report = bench(tmp_path, calls=8)  # no weights there, as in a bundle
    found = [(row.contender, row.precision) for row in report.rows]
    assert found == [
        ("LiteRT", "float32"),
        ("LiteRT", "int8_dynamic"),
        ("torch eager", "float32"),
        ("ONNX Runtime", "float32"),
        ("ONNX Runtime", "int8_dynamic"),
    ]
    for row in report.rows:
        assert row.calls == 8
        assert row.peak_mb == 0 or row.peak_mb >= row.idle_mb > 10
        assert 0 < row.cpu_ms_median <= row.cpu_ms_p99
        assert row.load_ms > 0
    small, large = report.rows[1], report.rows[0]
    assert small.bytes < 0.35 * large.bytes
    assert report.rows[4].bytes < 0.5 * report.rows[3].bytes


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    _, manifest = talkative("streaming", 4)
    write_manifest(tmp_path, manifest)
    with pytest.raises(BadInput, match="no exported model; run: qwrist export"):
        bench(tmp_path)
