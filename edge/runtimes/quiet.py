"""Native runtimes log to the process's standard error; a user's terminal is no place for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere while the block runs.

    Python's own errors are exceptions and pass. Process-wide, so only for the moment of loading.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # no standard error at all: nothing to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
