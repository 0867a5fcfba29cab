"""A folder's artifacts against the desk: a model's, a bundle's, and faults that are found where they are."""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BadInput
from edge.features import HOP
from edge.manifest import (
    Artifact,
    Form,
    ModelManifest,
    RuntimeKind,
    TensorSpec,
    read_manifest,
    sha256_of,
    write_manifest,
)
from edge.runtimes import ModelInput, Runtime, State, frames_of, load_runtime
from edge.samples import RATE_HZ, Float32
from export import artifacts, tflite
from export.golden import Golden, listen, scenarios, write_goldens
from export.parity import COLUMNS, Case, Proof, check, expectations, load_thresholds, prove, rows, spec_of
from export.parity.html import page
from export.parity.stages import Place, front_end_stages, locate
from export.shapes import Lowered
from personalize import spec, spec_numpy
from personalize.forms import form_of
from personalize.model import save_model
from personalize.networks import Network
from personalize.reference import TorchRuntime
from tests.export.toys import talkative

LIMITS = load_thresholds()
Model = tuple[Network, ModelManifest]


@pytest.fixture(scope="module")
def model() -> Model:
    return talkative("streaming", 8)


@pytest.fixture(scope="module")
def goldens(model: Model) -> tuple[Golden, ...]:
    made = [listen(one, model[1]) for one in scenarios(typing_s=3.0)]
    return expectations(*model, [made[0], made[-1]])


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a .tflite. Read only."""
    network, manifest = model
    where = tmp_path_factory.mktemp("model")
    save_model(where, network, manifest)
    return with_artifact(where, model, network.spec())


def with_artifact(where: Path, model: Model, layers: spec.NetworkSpec) -> Path:
    lowered = tflite.lower(layers, model[1].form)
    path = where / "model.tflite"
    path.write_bytes(lowered.content)
    artifact = Artifact(
        file=path.name,
        runtime="litert",
        sha256=sha256_of(path),
        bytes=len(lowered.content),
        form=lowered.form,
    )
    write_manifest(where, model[1].model_copy(update={"artifacts": (artifact,)}))
    return where


@pytest.fixture(scope="module")
def bundle(
    folder: Path, model: Model, goldens: tuple[Golden, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """As a bundle has them: artifact, model.json and goldens, no weights. Read only."""
    where = tmp_path_factory.mktemp("bundle")
    for name in ("model.json", "model.tflite"):
        shutil.copy(folder / name, where / name)
    write_goldens(where, goldens, model[1])
    return where


@pytest.fixture(scope="module")
def proof(folder: Path, goldens: tuple[Golden, ...]) -> Proof:
    return check(folder, goldens, own_process=True)


def test_every_runtime_of_a_model_is_compared(proof: Proof) -> None:
    assert proof.report.failures() == ()
    names = [parity.runtime for parity in proof.report.runtimes]
    assert names == ["ONNX Runtime", "LiteRT", "LiteRT, own process"]
    assert {stage.stage for stage in proof.report.stages} == {"filter", "frames", "normalize"}
    assert len(rows(proof.report)) == 2 * len(names)
    assert all(len(row) == len(COLUMNS) for row in rows(proof.report))


def test_a_bundle_is_compared_with_its_goldens(bundle: Path) -> None:
    report = check(bundle).report
    assert report.failures() == ()
    assert [parity.runtime for parity in report.runtimes] == ["LiteRT"]  # no weights, so no second opinion
    written = [stage for stage in report.stages if stage.against == "bundle"]
    assert [stage.max_delta for stage in written] == [0.0] * 6


def test_a_bundle_of_another_network_fails(bundle: Path, model: Model, tmp_path: Path) -> None:
    where = tmp_path / "bundle"
    shutil.copytree(bundle, where)
    with_artifact(where, model, talkative("streaming", 8, seed=1)[0].spec())
    failures = check(where).report.failures()
    assert any("model.tflite in LiteRT on typing" in failure for failure in failures)


def test_a_stage_that_is_not_as_the_bundle_says_is_named(bundle: Path, tmp_path: Path) -> None:
    where = tmp_path / "bundle"
    shutil.copytree(bundle, where)
    path = where / "golden" / "typing.log_power.bin"
    values = np.frombuffer(path.read_bytes(), "<f4") + np.float32(0.01)
    path.write_bytes(values.tobytes())
    failures = check(where).report.failures()
    assert len(failures) == 1
    assert failures[0].startswith("frames on typing: it departs by 0.01 log10")


def test_nothing_to_compare_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no exported model; run: qwrist export"):
        check(folder, runtimes=["executorch"])
    with pytest.raises(BadInput, match=r"model\.json"):
        check(tmp_path)


def exchanged(layers: spec.NetworkSpec) -> spec.NetworkSpec:
    """Wrong in one kind of layer: the shift of each LayerNorm that stands alone."""
    found = tuple(
        layer._replace(beta=layer.beta + 1) if isinstance(layer, spec.LayerNorm) else layer
        for layer in layers.layers
    )
    return layers._replace(layers=found)


def test_a_foreign_file_is_told_from_a_wrong_lowering(
    folder: Path, model: Model, goldens: tuple[Golden, ...], tmp_path: Path
) -> None:
    where = tmp_path / "model"
    shutil.copytree(folder, where)
    with_artifact(where, model, exchanged(model[0].spec()))
    report = check(where, goldens, onnx=False).report
    assert report.runtimes[0].departs is not None
    assert "the file is of another network" in report.runtimes[0].departs
    assert "past_1 departs first" in report.runtimes[0].departs


def test_a_wrong_lowering_names_its_layer(
    folder: Path, model: Model, goldens: tuple[Golden, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "model"
    shutil.copytree(folder, where)
    with_artifact(where, model, exchanged(model[0].spec()))
    right = artifacts.lower

    def wrong(network: spec.NetworkSpec, form: Form, kind: RuntimeKind, *_: object) -> Lowered:
        return right(exchanged(network), form, kind)

    monkeypatch.setattr(artifacts, "lower", wrong)
    report = check(where, goldens, onnx=False).report
    assert report.runtimes[0].departs == "network: layer 3 of 8, LayerNorm"
    assert report.failures()[-1] == "model.tflite in LiteRT first to depart: network: layer 3 of 8, LayerNorm"


class WithSamples:
    """Any lowering, opened for LiteRT."""

    def __init__(self, fault: str | None) -> None:
        self.fault = fault

    def __call__(self, network: spec.NetworkSpec, form: Form) -> Runtime:
        layers = tuple(self._faulted(layer) for layer in network.layers)
        lowered = tflite.lower(network._replace(layers=layers), form)
        return load_runtime(lowered.content, lowered.form, "litert")

    def _faulted(self, layer: spec.Layer) -> spec.Layer:
        if isinstance(layer, spec.FrontEnd) and self.fault == "front end":
            return layer._replace(basis=layer.basis * np.float32(1.5))
        if isinstance(layer, spec.Linear) and self.fault == "head":
            return layer._replace(bias=(layer.bias + np.arange(len(layer.bias))).astype(np.float32))
        return layer


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("front end", "front end: layer 1 of 9, FrontEnd"),
        ("head", "network: layer 8 of 9, Linear"),
        (None, "network: no layer alone, lowered again, departs"),
    ],
)
def test_the_front_end_is_a_layer_too(
    model: Model, goldens: tuple[Golden, ...], fault: str | None, found: str
) -> None:
    network, manifest = model
    wanted = manifest.form.model_copy(update={"takes": "samples"})
    layers = spec_of(network, manifest, wanted)
    form = form_of(layers, chunk_frames=8, takes="samples")
    lowering = WithSamples(fault)
    said = locate(lowering(layers, form), layers, Place(goldens[0]), lowering, LIMITS.stages)
    assert said.startswith(found)


class ClipsFrom:
    """NumPy's own answers, but wrong from one layer on while what comes in is louder than `loudest`."""

    name = "NumPy"

    def __init__(self, layers: spec.NetworkSpec, form: Form, loudest: float, faulty: bool) -> None:
        self.layers, self.form, self.loudest, self.faulty = layers, form, loudest, faulty

    def initial_state(self) -> State:
        return spec_numpy.initial_state(self.layers)

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        said, after = spec_numpy.step(self.layers, frames_of(x, self.name), state)
        wrong = self.faulty and float(np.abs(frames_of(x, self.name)).max()) > self.loudest
        return said + np.float32(wrong) * np.arange(said.shape[-1], dtype=np.float32), after


@pytest.mark.parametrize(("layer", "said"), [(5, "network: layer 5 of 8"), (None, "the rounding of all")])
def test_a_layer_that_is_wrong_in_a_disturbance_only_is_named(
    model: Model, layer: int | None, said: str
) -> None:
    network, manifest = model
    layers = network.spec()
    form = form_of(layers, chunk_frames=4, precision="int8_dynamic")
    golden = listen(next(one for one in scenarios() if one.name == "saturation"), manifest)
    begins = round(1.0 * RATE_HZ) // HOP  # frames; half a second is clipped
    loudest = float(np.abs(golden.frames[: begins - 8]).max())

    def lowering(prefix: spec.NetworkSpec, cut: Form) -> Runtime:
        return ClipsFrom(prefix, cut, loudest, layer is not None and len(prefix.layers) >= layer)

    def found(frame: int) -> str:
        place = Place(golden, frame // manifest.stride)
        return locate(lowering(layers, form), layers, place, lowering, LIMITS.stages)

    assert said in found(begins + 40)
    assert "no layer alone, lowered again, departs" in found(0)


class WrongAfterReset:
    """Torch, but wrong in the last calls of all."""

    name = "planted"

    def __init__(self, inner: Runtime, right: int) -> None:
        self.inner, self.form, self.right = inner, inner.form, right

    def initial_state(self) -> State:
        return self.inner.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        self.right -= 1
        said, after = self.inner.run(x, state)
        return said if self.right >= 0 else np.roll(said, 1, axis=-1), after


def test_the_golden_that_failed_is_where_it_is_looked_for(
    model: Model, goldens: tuple[Golden, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, manifest = model
    calls = sum(-(-len(segment.frames) // 8) for golden in goldens for segment in golden.segments)
    places: list[Place] = []

    def looked(_: Runtime, __: spec.NetworkSpec, place: Place, *___: object) -> str:
        places.append(place)
        return "there"

    # The package gives the name `check` to the function.
    monkeypatch.setattr(sys.modules["export.parity.check"], "locate", looked)
    runtime = WrongAfterReset(TorchRuntime(network, manifest.form), calls - 3)
    (artifact,) = read_manifest(folder).artifacts
    parity, _ = prove(runtime, artifact, Case(manifest, goldens, LIMITS, network))
    assert parity.departs == "there"
    assert [place.golden.name for place in places] == ["reset"]
    said = len(goldens[-1].readings[0].log_probs)
    assert places[0].emission >= said - 3 * 8 // manifest.stride


def test_a_stage_of_the_front_end_that_departs_is_named(model: Model, goldens: tuple[Golden, ...]) -> None:
    good, _ = front_end_stages(goldens[:1], model[1], LIMITS.stages)
    assert all(stage.faults == () for stage in good)
    stages = goldens[0].stages
    bad = goldens[0]._replace(stages=stages._replace(log_power=stages.log_power * np.float32(1.01)))
    found, traces = front_end_stages([bad], model[1], LIMITS.stages)
    assert [stage.stage for stage in found if stage.faults] == ["frames"]
    assert [trace.stage for trace in traces] == ["filter", "frames", "normalize"]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_plots_every_error(proof: Proof) -> None:
    text = page(proof, "Parity of <ada>")
    tags = _Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.seen]
    assert not {"script", "link", "img", "iframe"} & set(names)
    assert not [attrs for _, attrs in tags.seen if {"src", "href"} & set(attrs)]
    assert names.count("svg") == len(proof.emissions) + len(proof.stages) == 3 * 2 + 2 * 3
    assert "Parity of &lt;ada&gt;" in text
    assert "nan" not in text.lower()


class Silent:
    """A runtime whose states have other names and no layer."""

    name = "silent"

    def __init__(self, form: Form) -> None:
        self.form = form

    def initial_state(self) -> State:
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        return np.zeros((self.form.chunk_frames, 99), np.float32), state


def test_a_cut_without_a_golden_is_refused(model: Model, goldens: tuple[Golden, ...]) -> None:
    from export.parity import judge

    form = Form(chunk_frames=8, lookahead_frames=8, state=(TensorSpec(name="h_1", shape=(1,)),))
    with pytest.raises(BadInput, match=r"does not say what to expect.*qwrist export"):
        judge(Silent(form), model[1], goldens, LIMITS)
