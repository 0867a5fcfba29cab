"""Properties of the code itself: what is light stays light, what is forbidden does not occur."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("edge", "personalize", "export", "firmware_bridge", "simulate", "qwrist")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "yaml.load", "pickle.load", "pickle.loads", "np.load"}


def calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_loads_code_from_data(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"pickle", "marshal", "shelve", "dill", "joblib"}
    assert not calls(tree) & FORBIDDEN_CALLS


def test_no_module_or_function_outgrows_its_reader() -> None:
    long_modules = [str(path) for path in SOURCES if len(path.read_text().splitlines()) > 400]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno > 60
    ]
    assert (long_modules, long_functions) == ([], [])


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("edge", {"torch", "bleak", "bumble", "h5py", "executorch", "ai_edge_litert"}),
        ("edge.pipeline", {"torch", "bleak", "bumble", "executorch", "ai_edge_litert"}),
        ("edge.runtimes", {"torch", "bleak", "bumble", "executorch", "ai_edge_litert"}),
        ("firmware_bridge", {"torch", "bumble"}),
        ("simulate", {"torch", "bleak", "bumble"}),
        ("personalize.spec", {"torch"}),
        ("qwrist.app", {"torch", "bleak", "bumble", "executorch", "ai_edge_litert", "scipy"}),
    ],
)
def test_imports_stay_lazy(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {name.split(".")[0] for name in loaded.stdout.split()} & absent
