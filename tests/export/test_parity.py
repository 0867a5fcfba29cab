"""Parity cannot be flattered: decoders that are wrong where it matters fail, whatever the blanks say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.charset import CHARSET
from edge.ctc import greedy
from edge.errors import BadInput
from edge.manifest import Form, ModelManifest, Precision
from edge.runtimes import ModelInput, Runtime, State, load_runtime
from edge.samples import Float32
from export import tflite
from export.golden import Golden, listen, of_frames, rehearsal, scenarios
from export.parity import (
    ParityFailed,
    ParityReport,
    compare,
    drift,
    expectations,
    judge,
    load_thresholds,
    spec_of,
)
from export.parity.judge import Verdict
from export.parity.report import Figures, RuntimeParity
from export.parity.thresholds import Thresholds
from personalize.forms import form_of
from personalize.networks import Network
from personalize.reference import TorchRuntime
from tests.export.toys import random_frames, talkative

BLANK, CLASSES = CHARSET.blank, CHARSET.num_classes
LIMITS = load_thresholds()
PRECISIONS: tuple[Precision, ...] = ("float32", "int8_dynamic")
Model = tuple[Network, ModelManifest]


@pytest.fixture(scope="module")
def model() -> Model:
    return talkative("streaming", 8)


@pytest.fixture(scope="module")
def goldens(model: Model) -> tuple[Golden, ...]:
    """All six, and what the network says of them."""
    network, manifest = model
    return expectations(network, manifest, [listen(one, manifest) for one in scenarios(typing_s=4.0)])


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


class Planted:
    """The reference with a fault, said to be of some precision."""

    name = "planted"

    def __init__(self, model: Model, precision: Precision, inner: Runtime | None = None) -> None:
        network, manifest = model
        self.inner = inner or TorchRuntime(network, manifest.form)
        self.form: Form = self.inner.form.model_copy(update={"precision": precision})

    def initial_state(self) -> State:
        return self.inner.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        said, after = self.inner.run(x if isinstance(x, tuple) else self.seen(x), state)
        return self.said(said), self.kept(state, after)

    def seen(self, frames: Float32) -> Float32:
        return frames

    def said(self, log_probs: Float32) -> Float32:
        return log_probs

    def kept(self, before: State, after: State) -> State:
        return after


class EveryKeyWrong(Planted):
    def said(self, log_probs: Float32) -> Float32:
        return every_key_wrong(log_probs)


class AllBlank(Planted):
    def said(self, log_probs: Float32) -> Float32:
        return all_blank(log_probs)


class WrongScale(Planted):
    def seen(self, frames: Float32) -> Float32:
        return frames * np.float32(1.3)


class StaleState(Planted):
    def kept(self, before: State, after: State) -> State:
        return (after[0], before[1], *after[2:])  # one tensor of four is never written back


class SwappedWrists(Planted):
    def seen(self, frames: Float32) -> Float32:
        return np.ascontiguousarray(frames[:, ::-1])


class Fainter(Planted):
    def said(self, log_probs: Float32) -> Float32:
        return log_probs * np.float32(0.2)


class Louder(Planted):
    def said(self, log_probs: Float32) -> Float32:
        return log_softmax(5 * log_probs)


class WithoutSoftmax(Planted):
    def said(self, log_probs: Float32) -> Float32:
        return log_probs + np.float32(7)


class CertainBlanks(Planted):
    def said(self, log_probs: Float32) -> Float32:
        certain = np.full_like(log_probs, -60.0)
        certain[:, BLANK] = 0.0
        return np.where((log_probs.argmax(-1) == BLANK)[:, None], certain, log_probs)


class Noisy(Planted):
    """As int8 is: a little off everywhere."""

    def said(self, log_probs: Float32) -> Float32:
        seed = int(np.abs(log_probs).sum() * 1e4) % 2**32
        noise = np.random.default_rng(seed).normal(0, 0.003, log_probs.shape)
        return log_softmax((log_probs + noise).astype(np.float32))


class Sharper(Planted):
    """A distribution all the same, and the best class too."""

    def said(self, log_probs: Float32) -> Float32:
        return log_softmax(np.float32(1.3) * log_probs)


class Biased(Planted):
    """Off by a tenth: as much as int8, too much for float32."""

    def said(self, log_probs: Float32) -> Float32:
        return log_softmax(log_probs + np.linspace(-0.05, 0.05, CLASSES, dtype=np.float32))


SAID = [Fainter, Louder, WithoutSoftmax, CertainBlanks, Sharper]  # which best class and cosine cannot see
FAULTS = [EveryKeyWrong, AllBlank, WrongScale, StaleState, SwappedWrists, *SAID]


def verdict(planted: Planted, model: Model, goldens: tuple[Golden, ...]) -> Verdict:
    return judge(planted, model[1], goldens, LIMITS)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_reference_agrees_with_itself(
    model: Model, goldens: tuple[Golden, ...], precision: Precision
) -> None:
    found = verdict(Planted(model, precision), model, goldens)
    assert not found.departs
    assert [one.golden for one in found.figures] == [one.name for one in goldens]
    assert (found.disturbed is None) == (precision == "float32")
    assert sum(one.spoken for one in found.figures) < 0.6 * sum(one.emissions for one in found.figures)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_on_typing(
    model: Model, goldens: tuple[Golden, ...], fault: type[Planted], precision: Precision
) -> None:
    found = verdict(fault(model, precision), model, goldens[:1])
    assert found.departs
    assert found.figures[0].golden == "typing"
    assert found.figures[0].faults


@pytest.mark.parametrize("fault", [EveryKeyWrong, AllBlank, StaleState, SwappedWrists])
def test_a_fault_of_int8_fails_on_the_disturbed_too(
    model: Model, goldens: tuple[Golden, ...], fault: type[Planted]
) -> None:
    found = verdict(fault(model, "int8_static"), model, goldens[1:])
    assert found.disturbed is not None
    assert found.disturbed.faults


@pytest.mark.parametrize("fault", SAID)
def test_what_best_class_cannot_see_fails_on_each_of_the_disturbed(
    model: Model, goldens: tuple[Golden, ...], fault: type[Planted]
) -> None:
    found = verdict(fault(model, "int8_static"), model, goldens[1:])
    assert found.faulty == tuple(range(len(goldens) - 1))
    assert found.disturbed is not None
    assert found.disturbed.faults


@pytest.fixture(scope="module")
def on_samples(model: Model) -> Runtime:
    """The network behind its front end, all in float32, in LiteRT."""
    network, manifest = model
    layers = spec_of(network, manifest, manifest.form.model_copy(update={"takes": "samples"}))
    form = form_of(layers, chunk_frames=manifest.form.chunk_frames, takes="samples")
    return load_runtime(*tflite.lower(layers, form), "litert")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_raw_samples_are_allowed_what_a_front_end_in_float32_differs_by(
    model: Model, goldens: tuple[Golden, ...], on_samples: Runtime, precision: Precision
) -> None:
    found = verdict(Planted(model, precision, on_samples), model, goldens)
    assert not found.departs
    assert found.figures[0].max_delta > LIMITS.float32.max_delta


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fault", SAID)
def test_a_planted_fault_on_raw_samples_fails_on_typing_and_disturbed(
    model: Model, goldens: tuple[Golden, ...], on_samples: Runtime, fault: type[Planted], precision: Precision
) -> None:
    found = verdict(fault(model, precision, on_samples), model, (goldens[0], goldens[-1]))
    assert found.faulty == (0, 1)
    assert found.disturbed is not None
    assert found.disturbed.faults


def test_raw_samples_in_float32_may_not_be_off_as_int8_is(
    model: Model, goldens: tuple[Golden, ...], on_samples: Runtime
) -> None:
    assert not verdict(Biased(model, "int8_static", on_samples), model, goldens).departs
    assert verdict(Biased(model, "float32", on_samples), model, goldens).faulty == (0,)


def test_a_little_noise_is_allowed_to_int8_and_not_to_float(
    model: Model, goldens: tuple[Golden, ...]
) -> None:
    assert not verdict(Noisy(model, "int8_static"), model, goldens).departs
    assert verdict(Noisy(model, "float32"), model, goldens).departs


def test_one_scenario_gone_wrong_is_not_hidden_by_typing(model: Model, goldens: tuple[Golden, ...]) -> None:
    before_the_last = sum(-(-len(segment.frames) // 8) for one in goldens[:-1] for segment in one.segments)

    class WrongOnTheLast(Planted):
        calls = 0

        def said(self, log_probs: Float32) -> Float32:
            self.calls += 1
            return every_key_wrong(log_probs) if self.calls > before_the_last else log_probs

    found = verdict(WrongOnTheLast(model, "int8_static"), model, goldens)
    assert found.figures[0].faults == ()
    assert found.disturbed is not None
    assert found.disturbed.faults


def test_every_key_wrong_is_flattered_by_blanks_and_fails() -> None:
    reference = typing()
    planted = every_key_wrong(reference)
    over_all = float((reference.argmax(-1) == planted.argmax(-1)).mean())
    found = compare(reference, planted)
    assert over_all > 0.8  # what an average over all emissions would have reported
    assert found.agreement == 0.0
    assert found.cosine < 0.5


def test_equal_emissions_agree() -> None:
    log_probs = typing()
    found = compare(log_probs, log_probs)
    assert (found.spoken, found.max_delta, found.agreement) == (100, 0.0, 1.0)
    assert found.cosine == pytest.approx(1.0)


@given(wrong=st.integers(0, 10), seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_the_cosine_forgives_a_share_of_the_spoken_and_no_more(wrong: int, seed: int) -> None:
    reference = typing(seed)
    actual = reference.copy()
    rows = np.flatnonzero(reference.argmax(-1) != BLANK)[:wrong]
    actual[rows] = every_key_wrong(reference[rows])
    found = compare(reference, actual, 0.05)
    assert (found.cosine > 0.99) == (wrong <= 5)  # of 100
    assert (found.cosine_min > 0.99) == (wrong == 0)
    assert found.agreement == pytest.approx(1 - wrong / 100)


def test_a_silent_reference_proves_nothing() -> None:
    network, manifest = talkative("streaming", 4)
    network.head.bias.data[-1] += 60
    (quiet,) = expectations(network, manifest, [rehearsal(manifest, duration_s=2.0)])
    found = judge(TorchRuntime(network, manifest.form), manifest, [quiet], LIMITS)
    assert any("nothing is proved" in fault for fault in found.figures[0].faults)
    assert not found.departs
    assert report_of().failures() == ("nothing was compared",)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_number_that_is_none_fails(
    model: Model, goldens: tuple[Golden, ...], poison: float, precision: Precision
) -> None:
    class Poisoned(Planted):
        def said(self, log_probs: Float32) -> Float32:
            log_probs = log_probs.copy()
            log_probs[1, 5] = poison
            return log_probs

    found = verdict(Poisoned(model, precision), model, goldens[1:2])
    assert any("delta" in fault or "none" in fault for fault in found.figures[0].faults)


def test_another_number_of_emissions_fails() -> None:
    with pytest.raises(ParityFailed, match=r"\(599, 99\).*\(600, 99\)"):
        compare(typing(), typing()[1:])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    size=st.floats(0.0, 1e-3),
    row=st.integers(0, 599),
    column=st.integers(0, BLANK),
)
def test_the_largest_difference_is_found(seed: int, size: float, row: int, column: int) -> None:
    reference = typing(seed).astype(np.float64)
    actual = reference.copy()
    actual[row, column] += size
    assert compare(reference, actual).max_delta == pytest.approx(size, abs=1e-12)


def figures_of(**changes: object) -> Figures:
    found = compare(typing(), all_blank(typing()))._asdict()
    plain = {"golden": "typing", "emissions": 600, "said_by_reference": 100, "identical_text": False}
    return Figures.model_validate(plain | found | changes)


def report_of(*figures: Figures) -> ParityReport:
    parity = RuntimeParity(
        runtime="LiteRT",
        file="model.tflite",
        sha256="0" * 64,
        precision="float32",
        takes="frames",
        chunk_frames=4,
        lookahead_frames=0,
        whole_window=False,
        figures=figures,
        departs="network: layer 3 of 8, LayerNorm",
    )
    runtimes = (parity,) if figures else ()
    return ParityReport(network="streaming", simulated=True, thresholds=LIMITS, runtimes=runtimes)


def test_a_report_survives_the_file() -> None:
    report = report_of(figures_of(cosine=float("nan"), faults=("it is wrong",)))
    again = ParityReport.model_validate_json(report.model_dump_json())
    assert np.isnan(again.runtimes[0].figures[0].cosine)
    assert again.failures() == report.failures()
    assert again.failures() == (
        "model.tflite in LiteRT on typing: it is wrong",
        "model.tflite in LiteRT first to depart: network: layer 3 of 8, LayerNorm",
    )


def test_thresholds_come_with_reasons_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = LIMITS.model_dump_json()
    mine.write_text(text)
    assert load_thresholds(mine) == LIMITS
    mine.write_text(text.replace("max_delta", "max_dleta"))
    with pytest.raises(BadInput, match=r"float32\..*start from configs/parity\.yaml"):
        load_thresholds(mine)
    mine.write_text(text.replace('"rms":0.3', '"rms":Infinity'))
    with pytest.raises(BadInput, match=r"quantized\.rms.*finite"):
        load_thresholds(mine)
    mine.write_text("a: [")
    with pytest.raises(BadInput, match="not YAML"):
        load_thresholds(mine)
    with pytest.raises(BadInput, match="cannot be read"):
        load_thresholds(tmp_path / "none.yaml")
    shipped = (Path(__file__).parents[2] / "configs" / "parity.yaml").read_text().splitlines()
    assert all("#" in line for line in shipped if line.strip())  # each limit has its reason beside it


def test_stricter_thresholds_decide(model: Model, goldens: tuple[Golden, ...]) -> None:
    strict = Thresholds.model_validate(
        LIMITS.model_dump() | {"float32": {"max_delta": 1e-12, "rms_samples": 1}}
    )
    network, manifest = model
    other = TorchRuntime(network, manifest.form.model_copy(update={"chunk_frames": 4}))
    assert not judge(other, manifest, goldens[:1], LIMITS).departs
    assert judge(other, manifest, goldens[:1], strict).departs


def test_chunks_must_equal_the_whole(model: Model) -> None:
    network, manifest = model
    golden = of_frames("noise", random_frames(2, 203))  # 203: neither whole chunks nor whole strides
    (expected,) = expectations(network, manifest, [golden])
    good = judge(Planted(model, "float32"), manifest, [expected], LIMITS).figures[0]
    bad = judge(StaleState(model, "float32"), manifest, [expected], LIMITS).figures[0]
    assert good.faults == ()
    assert good.emissions == 101
    assert good.max_delta_whole is not None
    assert any("in chunks it departs" in fault for fault in bad.faults)


def test_a_rehearsal_is_the_same_each_time_and_moves_the_decoder(model: Model) -> None:
    network, manifest = model
    first, second = (rehearsal(manifest, duration_s=6.0) for _ in range(2))
    np.testing.assert_array_equal(first.frames, second.frames)
    assert np.isfinite(first.frames).all()
    (expected,) = expectations(network, manifest, [first])
    assert len(set(greedy(expected.readings[0].log_probs))) > 3


def test_a_drift_is_seen_as_a_rise(model: Model) -> None:
    class Leaking(Planted):
        def kept(self, before: State, after: State) -> State:
            return (*after[:-1], after[-1] * np.float32(0.999))

    frames = random_frames(0, 40)
    reference = Planted(model, "float32")
    runtimes = [Planted(model, "float32"), Leaking(model, "float32")]
    steady, leaking = drift(runtimes, reference, frames, 60)
    assert steady.max_delta == (0.0,) * 20
    assert (steady.differing, steady.state_delta) == (0, 0.0)
    assert min(leaking.max_delta) > 0
    assert leaking.state_delta > 0
