"""The keys of this terminal as a KeySource: only this window's, and only while it is being recorded.

A terminal tells presses and no releases, no shift and no key that types nothing: `release_s` equals
`press_s`, and a capital is one press. That is enough for training, which uses press times only.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from edge.charset import BACKSPACE, CHARSET, ENTER, SPACE
from edge.errors import BadInput
from edge.samples import KeyPress

_NAMED: Final = {"\r": ENTER, "\n": ENTER, " ": SPACE, "\x7f": BACKSPACE, "\b": BACKSPACE}
_ESCAPE: Final = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O.|.)?")  # what arrows and function keys send
_POLL_S: Final = 0.05  # how soon the thread notices that it must end; presses are not delayed by it


def keys_of(typed: str) -> list[str]:
    """The keys behind what a terminal delivered at once; escape sequences and accents are none."""
    return [key for key in (_NAMED.get(c, c) for c in _ESCAPE.sub("", typed)) if key in CHARSET]


class TerminalKeys:
    """Logs presses on the terminal from `with` to its end; Ctrl-C stays Ctrl-C.

    A thread stamps each press with `clock` (the clock of the samples: unix seconds) as it arrives. Raises
    BadInput where there is no terminal.
    """

    def __init__(self, clock: Callable[[], float] = time.time, descriptor: int | None = None) -> None:
        self._clock = clock
        self._descriptor = descriptor
        self._presses: list[KeyPress] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._undo = ExitStack()

    def until(self, time_s: float) -> list[KeyPress]:
        """The presses not delivered yet up to `time_s`, inclusive."""
        with self._lock:
            due = [press for press in self._presses if press.press_s <= time_s]
            self._presses = self._presses[len(due) :]
        return due

    def __enter__(self) -> Self:
        terminal = sys.stdin.fileno() if self._descriptor is None else self._descriptor
        if not os.isatty(terminal):
            raise BadInput("there is no terminal to log keys from; record from prompts alone instead")
        read = _reader(terminal, self._undo)
        thread = threading.Thread(target=self._log, args=(read,), name="terminal keys", daemon=True)
        thread.start()
        self._undo.callback(thread.join)
        self._undo.callback(self._stop.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _log(self, read: Callable[[], str]) -> None:
        while not self._stop.is_set():
            typed = read()
            now_s = self._clock()
            with self._lock:
                self._presses += [KeyPress(key, now_s, now_s) for key in keys_of(typed)]


if sys.platform == "win32":

    def _reader(_terminal: int, _undo: ExitStack) -> Callable[[], str]:
        """A function that waits a little for keys and gives what came."""
        import msvcrt

        def read() -> str:
            if not msvcrt.kbhit():
                time.sleep(0.001)  # finer than any keyboard's own polling
                return ""
            typed = msvcrt.getwch()
            if typed in "\0\xe0":  # a key that types nothing: its code follows
                msvcrt.getwch()
                return ""
            return typed

        return read

else:

    def _reader(terminal: int, undo: ExitStack) -> Callable[[], str]:
        """A function that waits a little for keys and gives what came; `undo` restores the terminal."""
        import select
        import termios
        import tty

        undo.callback(termios.tcsetattr, terminal, termios.TCSADRAIN, termios.tcgetattr(terminal))
        tty.setcbreak(terminal)

        def read() -> str:
            ready, _, _ = select.select([terminal], [], [], _POLL_S)
            return os.read(terminal, 64).decode(errors="ignore") if ready else ""

        return read
