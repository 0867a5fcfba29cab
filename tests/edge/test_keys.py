"""Terminal keys, over a real pseudo-terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import BadInput
from edge.keys import Decoder, TerminalKeys

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
    assert Decoder().take(typed) == keys


@given(st.text("\x1b[O;1A~ab\r\né", max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_cuts_do_not_change_the_keys(typed: str, at: list[int]) -> None:
    decoder = Decoder()
    edges = sorted({0, len(typed), *(i for i in at if i < len(typed))})
    found = [key for start, stop in pairwise(edges) for key in decoder.take(typed[start:stop])]
    assert found == Decoder().take(typed)


def test_a_pause_ends_a_sequence_that_was_begun() -> None:
    decoder = Decoder()
    assert decoder.take("a\x1b[") == ["a"]
    assert decoder.take("") == []
    assert decoder.take("A") == ["A"]


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


def test_sequences_and_characters_cut_by_reads(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, screen = terminal
    real_read, reads = os.read, 0

    def one_byte(descriptor: int, _: int) -> bytes:
        nonlocal reads
        reads += 1
        return real_read(descriptor, 1)

    monkeypatch.setattr(os, "read", one_byte)
    with TerminalKeys(clock=lambda: 1.0, descriptor=screen) as keys:
        os.write(keyboard, "x\x1b[A\x1b[1;5Céy".encode())
        assert wait_for(keys, 1.0, 2) == ["x", "y"]
    assert reads == len("x\x1b[A\x1b[1;5Céy".encode())


def test_a_terminal_that_goes_away_ends_the_log() -> None:
    keyboard, screen = os.openpty()
    with TerminalKeys(clock=lambda: 1.0, descriptor=screen) as keys:
        thread = next(thread for thread in threading.enumerate() if thread.name == "terminal keys")
        os.write(keyboard, b"x")
        assert wait_for(keys, 1.0, 1) == ["x"]
        os.close(keyboard)
        thread.join(timeout=20)
        assert not thread.is_alive()
    os.close(screen)


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
