"""Golden calls: cut as the artifact takes them, and what it says of them is what the desk's own loop says."""

from __future__ import annotations

import numpy as np
import pytest

from edge.ctc import greedy
from edge.errors import BadInput
from edge.features import HOP
from edge.manifest import Form
from edge.runtimes import ModelInput, State
from edge.samples import Float32
from export.phone import golden_calls
from export.phone.calls import input_tensors
from personalize.evaluate import emissions, sample_emissions
from personalize.geometry import Geometry
from personalize.spec_numpy import step
from tests.edge.bundle.making import make_model
from tests.export.phone.making import STRIDE, form, recording, small_network

SECONDS = 3.0


class Numpy:
    """The network itself, in its own words."""

    name = "NumPy"

    def __init__(self, form: Form) -> None:
        self.form, self.network = form, small_network()

    def initial_state(self) -> State:
        return self.form.initial_state()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        assert not isinstance(x, tuple)
        log_probs, after = step(self.network, x, state)
        return log_probs, tuple(after)


class Told:
    """Keeps what it is given; says the class of a call's number."""

    name = "told"

    def __init__(self, form: Form) -> None:
        self.form = form
        self.given: list[ModelInput] = []

    def initial_state(self) -> State:
        return ()

    def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
        self.given.append(x)
        rows = np.full((self.form.chunk_frames // STRIDE, 99), -9.0, np.float32)
        rows[:, len(self.given) % 98] = 0.0
        return rows, state


def test_frames_say_what_the_whole_recording_says() -> None:
    heard = recording(SECONDS)
    runtime = Numpy(form(4))
    manifest = make_model(form=form(4), stride=STRIDE)
    calls = golden_calls(runtime, manifest, heard)
    whole = len(heard.frames) // 4 * 4
    said = emissions(runtime, heard.frames[:whole], Geometry.of_manifest(manifest, runtime.form))
    assert list(calls.classes) == greedy(said)
    assert len(set(calls.classes)) > 5
    assert np.frombuffer(calls.content, "<f4").tobytes() == heard.frames[:whole].astype("<f4").tobytes()


def test_settling_emissions_are_not_said() -> None:
    heard, manifest = recording(SECONDS), make_model(form=form(4), stride=STRIDE)
    late = golden_calls(Numpy(form(4)), manifest.model_copy(update={"settling_frames": 62}), heard)
    said = emissions(Numpy(form(4)), heard.frames[:372], Geometry.of_manifest(manifest, form(4)))
    assert list(late.classes) == greedy(said[31:])


@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("int16", [False, True])
def test_samples_are_what_the_desk_gives_less_the_first(lookahead: int, int16: bool) -> None:
    heard = recording(SECONDS)
    takes = {"takes": "samples_int16", "uv_per_lsb": 0.5} if int16 else {"takes": "samples"}
    cut = form(4, lookahead_frames=lookahead, **takes)
    ours, theirs = Told(cut), Told(cut)
    manifest = make_model(form=cut, stride=STRIDE)
    golden_calls(ours, manifest, heard)
    still = heard.emg_uv - heard.emg_uv[0]
    sample_emissions(theirs, still, heard.valid, Geometry.of_manifest(manifest, cut))
    assert len(ours.given) >= 90
    for mine, other in zip(ours.given, theirs.given, strict=False):
        assert isinstance(mine, tuple)
        assert isinstance(other, tuple)
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
    missing = np.concatenate([x[1][:4] for x in ours.given if isinstance(x, tuple)])[:, 1] == 0
    assert list(np.flatnonzero(missing)) == list(range((1000 - 63 + HOP - 1) // HOP, 1099 // HOP + 1))


def test_tensors_are_what_a_call_is_given() -> None:
    for takes in ({}, {"takes": "samples"}, {"takes": "samples_int16", "uv_per_lsb": 0.5}):
        cut = form(4, lookahead_frames=2, **takes)
        told = Told(cut)
        golden_calls(told, make_model(form=cut, stride=STRIDE), recording(0.2))
        given = told.given[0] if isinstance(told.given[0], tuple) else (told.given[0],)
        assert [(t.shape, t.dtype) for t in input_tensors(cut)] == [(a.shape, a.dtype.name) for a in given]


def test_silence_is_refused() -> None:
    class Silent(Told):
        def run(self, x: ModelInput, state: State) -> tuple[Float32, State]:
            rows = np.zeros((2, 99), np.float32)
            rows[:, 98] = 1.0
            return rows, state

    with pytest.raises(BadInput, match="says no key"):
        golden_calls(Silent(form(4)), make_model(form=form(4), stride=STRIDE), recording(1.0))
