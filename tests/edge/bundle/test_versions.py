"""Versions of runtimes: the range is what it says, and only what an artifact needs is asked for."""

from __future__ import annotations

import pytest

from edge.bundle import BundleRefused, Refusal, VersionRange
from edge.bundle.versions import check, installed, needed

RANGE = VersionRange(at_least="1.4", below="1.6")


@pytest.mark.parametrize(
    "version", ["1.4", "1.4.0", "1.4.1", "1.5.9", "1.4.1+cpu", "1.5.0a0", "1.4.1.dev2026"]
)
def test_versions_in_the_range_pass(version: str) -> None:
    check("executorch", RANGE, version)


@pytest.mark.parametrize(
    ("version", "reason", "words"),
    [
        ("1.3.9", Refusal.RUNTIME_TOO_OLD, "needs executorch 1.4 or later, and 1.3.9 is installed"),
        ("0.7", Refusal.RUNTIME_TOO_OLD, "update executorch"),
        ("nonsense", Refusal.RUNTIME_TOO_OLD, "nonsense is installed"),
        ("1.6", Refusal.RUNTIME_TOO_NEW, "before 1.6, and 1.6 is installed"),
        ("1.10.0", Refusal.RUNTIME_TOO_NEW, "export it again"),
        ("2.0", Refusal.RUNTIME_TOO_NEW, "2.0"),
    ],
)
def test_versions_outside_are_refused(version: str, reason: Refusal, words: str) -> None:
    with pytest.raises(BundleRefused, match=words) as caught:
        check("executorch", RANGE, version)
    assert caught.value.reason is reason


def test_nothing_is_too_new_for_an_open_range() -> None:
    check("litert", VersionRange(at_least="2.3"), "99.0")


def test_only_what_is_there_needs_a_runtime() -> None:
    assert set(needed(["litert", "litert"])) == {"litert"}
    assert set(needed(["executorch", "litert", "tflm"])) == {"executorch", "litert"}
    assert needed([]) == {}


def test_what_is_installed_here_runs_what_is_exported_here() -> None:
    for kind, wanted in needed(["executorch", "litert"]).items():
        found = installed(kind)
        if found is not None:
            check(kind, wanted, found)
