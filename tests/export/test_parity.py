"""Parity cannot be flattered: decoders that are wrong where it matters fail, whatever the blanks say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.runtimes import ModelInput, State
from edge.samples import Float32
from export.golden import Golden, rehearsal
from export.parity import (
    MAX_DELTA_FLOAT,
    Agreement,
    Figures,
    ParityFailed,
    ParityReport,
    RuntimeParity,
    compare,
    expectations,
    judge,
)
from personalize.reference import TorchRuntime
from tests.export.toys import random_frames, talkative

BLANK, CLASSES = CHARSET.blank, CHARSET.num_classes


def log_softmax(logits: Float32) -> Float32:
    shifted = logits - logits.max(-1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))).astype(np.float32)


def typing(seed: int = 0, emissions: int = 600) -> Float32:
    """Emissions of a confident decoder: a key every sixth one, blank between."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((emissions, CLASSES)).astype(np.float32)
    logits[:, BLANK] += 12
    spoken = np.arange(0, emissions, 6)
    logits[spoken, rng.integers(0, BLANK, len(spoken))] += 24
    return log_softmax(logits)


def every_key_wrong(log_probs: Float32) -> Float32:
    """The same blanks, each key taken for its neighbour."""
    return np.concatenate([np.roll(log_probs[:, :BLANK], 1, axis=1), log_probs[:, BLANK:]], axis=1)


def all_blank(log_probs: Float32) -> Float32:
    logits = log_probs.copy()
    logits[:, BLANK] = 30
    return log_softmax(logits)


def figures(reference: Float32, actual: Float32) -> Figures:
    text = greedy(reference)
    return Figures(
        golden="planted",
        emissions=len(actual),
        said_by_reference=len(text),
        max_delta_whole=None,
        identical_text=text == greedy(actual),
        cer_reference=None,
        cer_runtime=None,
        **compare(reference, actual)._asdict(),
    )


def test_equal_emissions_agree() -> None:
    log_probs = typing()
    assert compare(log_probs, log_probs) == Agreement(100, 0.0, pytest.approx(1.0), 1.0)
    assert figures(log_probs, log_probs).failures() == ()


def test_every_key_wrong_fails_although_blanks_agree() -> None:
    reference = typing()
    planted = every_key_wrong(reference)
    over_all = float((reference.argmax(-1) == planted.argmax(-1)).mean())
    found = figures(reference, planted)
    assert over_all > 0.8  # what an average over all emissions would have reported
    assert found.agreement == 0.0
    assert found.cosine < 0.5
    assert len(found.failures()) == 2


def test_all_blank_fails_against_typing() -> None:
    found = figures(typing(), all_blank(typing()))
    assert found.agreement == 0.0
    assert not found.identical_text
    assert found.failures() != ()


def test_a_silent_reference_proves_nothing() -> None:
    silent = all_blank(typing())
    assert any("nothing is proved" in failure for failure in figures(silent, silent).failures())
    assert RuntimeParity(runtime="litert", sha256="", figures=()).failures() == ("nothing was compared",)
    empty = ParityReport(network="streaming", chunk_frames=4, runtimes=())
    assert empty.failures() == ("nothing was compared",)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_fails(poison: float) -> None:
    actual = typing()
    actual[3, 5] = poison
    assert any("delta" in failure for failure in figures(typing(), actual).failures())


def test_another_number_of_emissions_fails() -> None:
    with pytest.raises(ParityFailed, match=r"\(599, 99\).*\(600, 99\)"):
        compare(typing(), typing()[1:])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    size=st.floats(0.0, 10 * MAX_DELTA_FLOAT),
    row=st.integers(0, 599),
    column=st.integers(0, BLANK),
)
def test_the_largest_difference_decides(seed: int, size: float, row: int, column: int) -> None:
    reference = typing(seed).astype(np.float64)
    actual = reference.copy()
    actual[row, column] += size
    found = compare(reference, actual)
    assert found.max_delta == pytest.approx(size, abs=1e-12)
    passed = not figures(reference, actual).failures()
    assert passed == (found.max_delta <= MAX_DELTA_FLOAT)


def test_a_report_survives_the_file() -> None:
    planted = figures(typing(), all_blank(typing())).model_copy(update={"cosine": float("nan")})
    parity = RuntimeParity(runtime="litert", sha256="0" * 64, figures=(planted,))
    report = ParityReport(network="streaming", chunk_frames=4, runtimes=(parity,))
    again = ParityReport.model_validate_json(report.model_dump_json())
    assert np.isnan(again.runtimes[0].figures[0].cosine)
    assert again.failures() == report.failures()
    assert all(failure.startswith("litert on planted: ") for failure in report.failures())


class Forgetful:
    """A runtime that loses its state between chunks: right on the first chunk only."""

    name = "forgetful"

    def __init__(self, reference: TorchRuntime) -> None:
        self._reference = reference
        self.form = reference.form

    def initial_state(self) -> State:
        return self._reference.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        return self._reference.run(x, self.initial_state())[0], state


def test_chunks_must_equal_the_whole() -> None:
    network, manifest = talkative("streaming", 8)
    golden = Golden("noise", random_frames(2, 203), None)  # 203: neither whole chunks nor whole strides
    expected = expectations(network, manifest, [golden])
    (good,) = judge(TorchRuntime(network, manifest.form), manifest, expected)
    (bad,) = judge(Forgetful(TorchRuntime(network, manifest.form)), manifest, expected)
    assert good.failures() == ()
    assert good.emissions == 101
    assert good.max_delta_whole is not None
    assert any("in chunks it departs" in failure for failure in bad.failures())


def test_a_rehearsal_is_the_same_each_time_and_moves_the_decoder() -> None:
    network, manifest = talkative("streaming", 8)
    first, second = (rehearsal(manifest, duration_s=6.0) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    assert np.isfinite(first.frames).all()
    (expected,) = expectations(network, manifest, [first])
    assert len(set(greedy(expected.chunked))) > 3
