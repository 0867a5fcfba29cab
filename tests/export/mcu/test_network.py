"""The generated network: what NumPy says of the same bytes, here and, bit for bit, on a Cortex-M."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ctc import greedy
from edge.edits import text_of
from edge.errors import BadInput
from export.golden import Golden
from export.mcu.network import byte_rows, in_bytes, network_source
from personalize import spec, spec_numpy
from tests.export.mcu.making import CHUNK_FRAMES, Made
from tests.export.toys import random_array, small_network
from tests.mcu import toolchain
from tests.mcu.deciding import Decided, decide

CLOSE = 1e-4  # single precision in another order; measured: 2e-5


@given(rows=st.integers(1, 5), columns=st.integers(1, 20), seed=st.integers(0, 2**16), quiet=st.booleans())
def test_a_byte_is_at_most_half_a_step_off(rows: int, columns: int, seed: int, quiet: bool) -> None:
    matrix = random_array(np.random.default_rng(seed), rows, columns)
    if quiet:
        matrix[0] = 0
    found = byte_rows(matrix)
    assert np.abs(found.values.astype(int)).max() <= 127
    assert (np.abs(found.array - matrix) <= found.scales[:, None] * 0.5001).all()
    np.testing.assert_array_equal(byte_rows(found.array).values, found.values)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_in_bytes_keeps_shapes_and_nearly_the_answer(seed: int) -> None:
    network = small_network(seed)
    changed = in_bytes(network)
    for layer, other in zip(network.layers, changed.layers, strict=True):
        assert type(layer) is type(other)
        for array, found in zip(layer, other, strict=True):
            if isinstance(array, np.ndarray):
                assert array.shape == found.shape
                assert np.abs(array - found).max() <= np.abs(array).max() / 127


@pytest.fixture(scope="module")
def decided(made: Made, tmp_path_factory: pytest.TempPathFactory) -> list[Decided]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the generated network cannot be compiled here")
    folder = tmp_path_factory.mktemp("network")
    program = toolchain.build_here(folder, "decode.c", made.folder / "model")
    return [
        decide(lambda where: toolchain.run([program], where) and None, folder, golden.scenario)
        for golden in made.goldens
    ]


def expected_of(made: Made, golden: Golden) -> np.ndarray:
    frames = golden.segments[0].frames
    return spec_numpy.run(in_bytes(made.network), frames[: len(frames) // CHUNK_FRAMES * CHUNK_FRAMES])


def test_raw_samples_become_the_text_of_numpy(made: Made, decided: list[Decided]) -> None:
    for golden, found in zip(made.goldens, decided, strict=True):
        expected = expected_of(made, golden)[: len(found.log_probs)]
        assert len(found.log_probs) > 150
        np.testing.assert_allclose(found.log_probs, expected, atol=CLOSE)
        assert found.text == text_of(greedy(expected))
        assert len(found.text) > 3


@pytest.mark.slow
@pytest.mark.skipif(bool(toolchain.missing_tools()), reason="no Cortex-M to run on (make test-mcu insists)")
def test_a_cortex_m_decodes_raw_samples_to_the_very_bits(
    made: Made, decided: list[Decided], tmp_path: Path
) -> None:
    board = next(board for board in toolchain.BOARDS if board.name == "Cortex-M4F")
    image = toolchain.build_for(board, tmp_path, "decode.c", made.folder / "model")
    for golden, here in zip(made.goldens, decided, strict=True):
        found = decide(lambda where: toolchain.emulate(board, image, where), tmp_path, golden.scenario)
        np.testing.assert_array_equal(found.log_probs, here.log_probs)
        assert found.text == here.text
        assert 0 < found.stack_bytes <= 2048
        assert found.instructions > 0


def test_a_layer_without_a_kernel_is_named() -> None:
    with pytest.raises(BadInput, match="ElectrodeAffine"):
        network_source(small_network(0))
    rolled = small_network(0, offsets=(-1, 0, 1))
    layers = tuple(layer for layer in rolled.layers if not isinstance(layer, spec.ElectrodeAffine))
    with pytest.raises(BadInput, match="BandLinear"):
        network_source(rolled._replace(layers=layers))
