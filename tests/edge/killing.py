"""Processes that are killed: forked from a warm one, so that a thousand take a minute."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any


def forked(work: Callable[[], None]) -> int:
    """The id of a child that does `work` and ends with 0, or with 1 and a trace where it failed."""
    if child := os.fork():
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def was_killed(child: int) -> bool:
    """Wait for a child: True where it was killed, False where it ended well."""
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def killed_at_line(number: int, of: tuple[str, ...], work: Callable[[], object]) -> bool:
    """Do `work` in a child that is killed before line `number` of those it runs in the files `of`."""

    def traced() -> None:
        left = number

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.endswith(of):
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()

    return was_killed(forked(traced))
