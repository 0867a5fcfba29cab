"""A missing extra is one sentence; a broken one is not hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import MissingExtra
from edge.extras import require


def test_gives_the_module() -> None:
    assert require("json", "dev").dumps([]) == "[]"


def test_names_the_extra() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_module.*pip install 'qwrist\[train\]'"):
        require("no_such_module.part", "train")


def test_an_installed_module_that_lacks_something_else_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import something_it_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs"):
        require("half_installed", "train")
