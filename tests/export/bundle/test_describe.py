"""A bundle in facts: what a developer asks first, from the manifest and the reports and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.bundle import OpenBundle, Refusal, open_bundle, read_bundle
from edge.errors import BadInput
from edge.manifest import Form
from edge.trust import TrustStore
from export.bundle import describe
from export.bundle.describe import heard_after_ms
from tests.edge.bundle.making import make_model, pack, plain_files
from tests.export.bundle.making import make_bundle
from tests.export.phone.making import recording


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> OpenBundle:
    folder = tmp_path_factory.mktemp("described")
    return make_bundle(folder / "bundle", TrustStore(folder / "keys"))


def test_facts_are_those_of_manifest_and_reports(bundle: OpenBundle) -> None:
    facts = describe(bundle)
    assert (facts.user, facts.target, facts.counter, facts.simulated) == ("ada", "phone", 1, True)
    assert (facts.parameters, facts.test_cer_percent, facts.test_cer_before_percent) == (907_747, 18.3, 46.1)
    (artifact,) = facts.artifacts
    assert artifact.bytes == len(bundle.contents["model_0.tflite"])
    assert artifact.state_bytes == 4 * (2 * 8 + 4 + 4)
    assert artifact.parity is not None
    assert artifact.parity.golden == "typing"
    rows = facts.rows()
    assert "simulated" in str(rows["note"])
    assert rows["needs litert"] == "2.3 or later"
    assert all("\n" not in str(value) for value in rows.values())


def test_without_reports_nothing_is_claimed(tmp_path: Path) -> None:
    trust = TrustStore(tmp_path / "keys")
    trust.signing_key()
    folder = pack(tmp_path / "b", trust)
    facts = describe(read_bundle(folder, trust.trusted()))
    assert (facts.parameters, facts.test_cer_percent) == (None, None)
    assert "test CER" not in facts.rows()


def test_a_report_that_is_none_is_named(tmp_path: Path) -> None:
    trust = TrustStore(tmp_path / "keys")
    found = make_bundle(tmp_path / "b", trust, fit={"parameters": "many"})
    with pytest.raises(BadInput, match=r"report\.json is not a report \(parameters"):
        describe(found)


def test_a_key_is_heard_when_its_emission_was_made_from_its_last_sample() -> None:
    """As edge/pipeline.py counts: the emission's last frame ends 64 samples after it begins, at 2 kHz."""
    model = make_model(stride=2, label_delay_frames=12)
    soonest, latest = heard_after_ms(model, Form(chunk_frames=8, lookahead_frames=4))
    assert soonest == pytest.approx(((12 + 2 - 1 + 4) * 16 + 64) / 2)
    assert latest == pytest.approx(soonest + (8 - 2) * 8)


def test_what_is_verified_runs(bundle: OpenBundle) -> None:
    """The artifact runs from the bytes that were checked, and says what its golden calls say."""
    runtime = bundle.runtime(bundle.artifact("litert"))
    log_probs, _ = runtime.run(recording().frames[:4], runtime.initial_state())
    assert log_probs.shape == (2, 99)
    assert np.isfinite(log_probs).all()


def test_a_state_of_another_shape_has_its_own_sentence(tmp_path: Path, bundle: OpenBundle) -> None:
    trust = TrustStore(tmp_path / "keys")
    artifact = bundle.model.artifacts[0]
    (past, *rest) = artifact.form.state
    other = past.model_copy(update={"shape": (3, 8)})
    wrong = artifact.model_copy(update={"form": artifact.form.model_copy(update={"state": (other, *rest)})})
    model = make_model(artifacts=(wrong,))
    files = {**plain_files(model), "model_0.tflite": bundle.contents["model_0.tflite"]}
    del files["model.tflite"]
    opened = open_bundle(pack(tmp_path / "b", trust, files), trust)
    with pytest.raises(BadInput, match=r"disagree on the input past_1: the file has float32 \(2, 8\)"):
        opened.runtime(opened.artifact("litert"))


def test_reasons_are_told_apart() -> None:
    assert len({reason.value for reason in Refusal}) == len(Refusal)
