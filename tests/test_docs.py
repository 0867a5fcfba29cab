"""The documents keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qwrist.app import app

ROOT = Path(__file__).resolve().parents[1]
VERBS = sorted(
    [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    + [group.name for group in app.registered_groups if group.name]
)
MODULES = sorted(
    str(path.relative_to(ROOT))
    for package in ("edge", "personalize", "export", "firmware_bridge", "simulate", "qwrist")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


def test_every_verb_is_documented_and_every_documented_verb_exists() -> None:
    documented = re.findall(r"^\| `qwrist ([a-z-]+)`", (ROOT / "docs/cli.md").read_text(), re.MULTILINE)
    assert sorted(documented) == VERBS


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_line_in_the_architecture(module: str) -> None:
    assert f"`{module}`" in (ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= targets, page


def test_commands_in_code_blocks_are_verbs() -> None:
    for page in PAGES:
        used = re.findall(r"^    (?:\$ )?qwrist ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert set(used) <= set(VERBS), page
