"""Terminal keys, over a real pseudo-terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from edge.errors import BadInput
from edge.keys import TerminalKeys, keys_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("aB3~", ["a", "B", "3", "~"]),
        (" \r\n\x7f\b", ["Key.space", "Key.enter", "Key.enter", "Key.backspace", "Key.backspace"]),
        ("\x1b[A", []),
        ("x\x1b[1;5Cy\x1bOPz\x1b", ["x", "y", "z"]),
        ("aé\t\x01b", ["a", "b"]),
        ("", []),
    ],
)
def test_what_a_terminal_sends(typed: str, keys: list[str]) -> None:
    assert keys_of(typed) == keys


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    keyboard, screen = os.openpty()
    yield keyboard, screen
    os.close(keyboard)
    os.close(screen)


def wait_for(keys: TerminalKeys, time_s: float, count: int) -> list[str]:
    """Poll until `count` presses came; the test's own timeout is the limit."""
    found: list[str] = []
    while len(found) < count:
        found += [press.key for press in keys.until(time_s)]
        time.sleep(0.001)
    return found


def test_logs_presses_at_the_clocks_time(terminal: tuple[int, int]) -> None:
    keyboard, screen = terminal
    now_s = 100.0
    with TerminalKeys(clock=lambda: now_s, descriptor=screen) as keys:
        os.write(keyboard, b"hi \x7f\r")
        assert wait_for(keys, 100.0, 5) == ["h", "i", "Key.space", "Key.backspace", "Key.enter"]
        now_s = 200.0
        os.write(keyboard, b"x")
        time.sleep(0.1)
        assert keys.until(199.0) == []
        assert wait_for(keys, 200.0, 1) == ["x"]
        assert keys.until(1e9) == []


def test_restores_the_terminal(terminal: tuple[int, int]) -> None:
    import termios

    _, screen = terminal
    before = termios.tcgetattr(screen)
    with TerminalKeys(descriptor=screen):
        assert termios.tcgetattr(screen) != before
        assert termios.tcgetattr(screen)[3] & termios.ISIG  # Ctrl-C stays Ctrl-C
    assert termios.tcgetattr(screen) == before


def test_needs_a_terminal() -> None:
    reading, writing = os.pipe()
    with pytest.raises(BadInput, match="no terminal"), TerminalKeys(descriptor=reading):
        pass
    os.close(reading)
    os.close(writing)
