"""The command line, called as a user calls it, with a store of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from qwrist import app


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_arrives() -> None:
    """Also where the suite itself was started in the background, by a shell that has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QWRIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def run(
    home: Path,  # noqa: ARG001  (every run has a home of its own)
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    def call(*arguments: str) -> Answer:
        command, entry = "qwrist", app.main
        if arguments[:1] == ("personalize",):
            command, entry, arguments = "personalize", app.personalize_main, arguments[1:]
        monkeypatch.setattr("sys.argv", [command, *arguments])
        code = 0
        try:
            entry()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
