"""Two bundles side by side: everything that differs is named, and nothing else."""

from __future__ import annotations

import pytest

from edge.bundle import OpenBundle
from edge.trust import TrustStore
from export.bundle import compare
from tests.export.bundle.making import CER, make_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpenBundle, OpenBundle]:
    folder = tmp_path_factory.mktemp("compared")
    trust = TrustStore(folder / "keys")
    worse = {"test": {**CER, "percent": 20.5}, "parameters": 907_748}
    return make_bundle(folder / "a", trust), make_bundle(folder / "b", trust, fit=worse)


def test_a_bundle_is_itself(bundles: tuple[OpenBundle, OpenBundle]) -> None:
    assert compare(bundles[0], bundles[0]).identical


def test_what_differs_is_named(bundles: tuple[OpenBundle, OpenBundle]) -> None:
    a, b = bundles
    found = compare(a, b)
    assert not found.identical
    facts = {fact.fact: (fact.a, fact.b) for fact in found.facts}
    assert facts["counter"] == ("1", "2")
    assert facts["test CER"] == ("18.3 % (46.1 % before)", "20.5 % (46.1 % before)")
    assert set(facts) <= {"counter", "created", "network", "test CER", "files"}
    assert {change.path for change in found.files} == {"report.json"}
    assert found.files[0].change == "differs"


def test_files_of_one_alone_are_named(bundles: tuple[OpenBundle, OpenBundle]) -> None:
    a, b = bundles
    fewer = {path: file for path, file in b.manifest.files.items() if path != "parity.json"}
    lean = OpenBundle(
        b.folder,
        b.manifest.model_copy(update={"files": fewer}),
        b.signer,
        b.model,
        {"report.json": b.contents["report.json"]},
    )
    found = compare(a, lean)
    only = {change.path: (change.change, change.bytes_b) for change in found.files}
    assert only["parity.json"] == ("only in A", None)
    back = {change.path: change.change for change in compare(lean, a).files}
    assert back["parity.json"] == "only in B"
    assert "model_0.tflite parity" in {fact.fact for fact in found.facts}
