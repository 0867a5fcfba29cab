"""A pytest plugin: `pytest --qwrist-bundle FOLDER` is a test for each artifact and golden of a bundle.

Installed with qwrist, or named with `-p export.pytest_plugin`. A model's folder in the user store works too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from edge.errors import QwristError

if TYPE_CHECKING:
    from export.parity import ParityReport, RuntimeParity

_FOLDER: Final = "--qwrist-bundle"
_THRESHOLDS: Final = "--qwrist-thresholds"


class Departed(Exception):
    """What a golden showed; raised to fail its test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("qwrist", "parity of exported decoders")
    group.addoption(_FOLDER, metavar="FOLDER", help="Test every artifact of a bundle on every golden.")
    group.addoption(_THRESHOLDS, metavar="FILE", help="Limits of parity (default: configs/parity.yaml).")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add an item for each artifact and golden. Raises UsageError where there is nothing to test."""
    folder = config.getoption(_FOLDER)
    if folder is not None:
        items += _items(session, Path(folder), config.getoption(_THRESHOLDS))


def _items(session: pytest.Session, folder: Path, thresholds: str | None) -> Iterator[pytest.Item]:
    from edge.bundle import FILE_NAME, unpacked, verify_bundle
    from edge.manifest import read_manifest
    from edge.trust import TrustStore
    from export.golden import FOLDER, TYPING, read_goldens, scenarios

    try:
        if (folder / FILE_NAME).exists():  # a bundle: nothing of it runs before its signature holds
            opened = ExitStack()
            session.config.add_cleanup(opened.close)
            folder = opened.enter_context(unpacked(verify_bundle(folder, TrustStore.default())))
        manifest = read_manifest(folder)
        if (folder / FOLDER).is_dir():
            names = [stored.golden.name for stored in read_goldens(folder, manifest)]
        else:
            names = [scenario.name for scenario in scenarios(typing_s=1.0)]
    except QwristError as error:
        raise pytest.UsageError(f"{_FOLDER}: {error}") from None
    if not manifest.artifacts or TYPING not in names:
        raise pytest.UsageError(f"{_FOLDER}: {folder} holds no exported model with goldens of typing")
    shared = _Shared(folder, None if thresholds is None else Path(thresholds))
    for artifact in manifest.artifacts:
        for name in names:
            yield GoldenItem.from_parent(
                session,
                name=f"parity[{artifact.file}-{name}]",
                shared=shared,
                file=artifact.file,
                golden=name,
            )


class _Shared:
    """One comparison for all items; made when the first of them runs."""

    def __init__(self, folder: Path, thresholds: Path | None) -> None:
        self._folder, self._thresholds = folder, thresholds
        self._report: ParityReport | None = None

    def of(self, file: str) -> list[RuntimeParity]:
        """What each runtime made of one artifact."""
        if self._report is None:
            from export.parity import check, load_thresholds

            limits = load_thresholds(self._thresholds)
            self._report = check(self._folder, thresholds=limits, onnx=False).report
        return [parity for parity in self._report.runtimes if parity.file == file]


class GoldenItem(pytest.Item):
    """One artifact on one golden, in every runtime that reads it."""

    def __init__(self, *, shared: _Shared, file: str, golden: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._shared, self._file, self._golden = shared, file, golden

    def runtest(self) -> None:
        """Raises Departed with every limit that is exceeded."""
        faults = [
            f"{parity.runtime}: {fault}"
            for parity in self._shared.of(self._file)
            for fault in self._faults(parity)
        ]
        if faults:
            raise Departed("\n".join(faults))

    def _faults(self, parity: RuntimeParity) -> list[str]:
        """Of this golden; the disturbed ones are judged together as well, and all of them fail by that."""
        found = [fault for one in parity.figures if one.golden == self._golden for fault in one.faults]
        together = parity.disturbed
        if together is not None and self._golden != "typing":
            found += [f"on all that are disturbed: {fault}" for fault in together.faults]
        if found and parity.departs is not None:
            found.append(f"first to depart: {parity.departs}")
        return found

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """The sentences alone: a traceback into the harness tells nothing."""
        if isinstance(excinfo.value, (Departed, QwristError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from, for listings."""
        return self.path, None, self.name
