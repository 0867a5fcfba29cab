"""The keys of this terminal as a KeySource: only this window's, and only while it is being recorded.

A terminal tells presses and no releases, no shift and no key that types nothing: `release_s` equals
`press_s`, and a capital is one press. That is enough for training, which uses press times only.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Final, Self

from edge.charset import BACKSPACE, CHARSET, ENTER, SPACE
from edge.errors import BadInput
from edge.samples import KeyPress

_NAMED: Final = {"\r": ENTER, "\n": ENTER, " ": SPACE, "\x7f": BACKSPACE, "\b": BACKSPACE}
# What arrows and function keys send, and how it begins where a read cut it. An escape always starts another.
_ESCAPE: Final = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O[^\x1b]|[^\x1b\n])?")
_BEGUN: Final = re.compile(r"\x1b(\[[0-9;]*|O)?\Z")
_POLL_S: Final = 0.05  # how soon the thread notices that it must end; presses are not delayed by it


class Decoder:
    """Turns what a terminal delivers into keys, however it is cut; escape sequences and accents are none."""

    def __init__(self) -> None:
        self._begun = ""

    def take(self, typed: str) -> list[str]:
        """The keys behind `typed`. Nothing typed means a pause: a sequence that was begun is none then."""
        typed = self._begun + typed if typed else ""
        begun = _BEGUN.search(typed)
        self._begun = begun[0] if begun else ""
        whole = typed[: len(typed) - len(self._begun)]
        return [key for key in (_NAMED.get(c, c) for c in _ESCAPE.sub("", whole)) if key in CHARSET]


class TerminalKeys:
    """Logs presses on the terminal from `with` to its end; Ctrl-C stays Ctrl-C.

    A thread stamps each press with `clock` (the clock of the samples: unix seconds) as it arrives. Raises
    BadInput where there is no terminal. Where the terminal goes away, no more presses come.
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

    def _log(self, read: Callable[[], str | None]) -> None:
        decoder = Decoder()
        while not self._stop.is_set() and (typed := read()) is not None:
            now_s = self._clock()
            with self._lock:
                self._presses += [KeyPress(key, now_s, now_s) for key in decoder.take(typed)]


if sys.platform == "win32":

    def _reader(_terminal: int, _undo: ExitStack) -> Callable[[], str | None]:
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

    def _reader(terminal: int, undo: ExitStack) -> Callable[[], str | None]:
        """A function that waits a little for keys and gives what came, None once the terminal is gone.

        `undo` restores the terminal.
        """
        import select
        import termios
        import tty

        before = termios.tcgetattr(terminal)

        def restore() -> None:
            with suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)

        undo.callback(restore)
        tty.setcbreak(terminal)

        decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")  # a read can cut a character

        def read() -> str | None:
            ready, _, _ = select.select([terminal], [], [], _POLL_S)
            if not ready:
                return ""
            try:
                typed = os.read(terminal, 64)
            except OSError:  # how Linux tells that a terminal was hung up; others give nothing for ever
                typed = b""
            return decoder.decode(typed) if typed else None

        return read
