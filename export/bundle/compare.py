"""Two bundles side by side: what differs, in files, figures and facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edge.bundle import OpenBundle
from export.bundle.describe import BundleFacts, describe

Change = Literal["only in A", "only in B", "differs"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FileChange(_Record):
    """A file that is not the same in both."""

    path: str
    change: Change
    bytes_a: int | None
    bytes_b: int | None


class FactChange(_Record):
    """A fact that is not the same of both; None where one lacks it."""

    fact: str
    a: str | None
    b: str | None


class Difference(_Record):
    """Empty where both hold the same files and say the same of them."""

    facts: tuple[FactChange, ...]
    files: tuple[FileChange, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing differs, the counter included."""
        return not self.facts and not self.files


def compare(a: OpenBundle, b: OpenBundle) -> Difference:
    """What differs from `a` to `b`. Raises BadInput where a report in one is none."""
    return Difference(facts=tuple(_facts(describe(a), describe(b))), files=tuple(_files(a, b)))


def _facts(a: BundleFacts, b: BundleFacts) -> Iterator[FactChange]:
    facts_a, facts_b = _named(a), _named(b)
    for name in dict.fromkeys((*facts_a, *facts_b)):
        found_a, found_b = facts_a.get(name), facts_b.get(name)
        if found_a != found_b:
            yield FactChange(fact=name, a=found_a, b=found_b)


def _named(facts: BundleFacts) -> dict[str, str]:
    """Every fact, by name, in words."""
    found = {name: str(value) for name, value in facts.rows().items()}
    for artifact in facts.artifacts:
        if artifact.parity is not None:
            parity = artifact.parity
            cer = "" if parity.cer_runtime is None else f", CER {parity.cer_runtime:.1f} %"
            text = "identical" if parity.identical_text else "other"
            found[f"{artifact.file} parity"] = f"max |Δ log p| {parity.max_delta:.1e}, {text} text{cer}"
    return found


def _files(a: OpenBundle, b: OpenBundle) -> Iterator[FileChange]:
    files_a, files_b = a.manifest.files, b.manifest.files
    for path in sorted({*files_a, *files_b}):
        left, right = files_a.get(path), files_b.get(path)
        if left is not None and right is not None and left.sha256 == right.sha256:
            continue
        change: Change = "only in B" if left is None else "only in A" if right is None else "differs"
        yield FileChange(
            path=path,
            change=change,
            bytes_a=None if left is None else left.bytes,
            bytes_b=None if right is None else right.bytes,
        )
