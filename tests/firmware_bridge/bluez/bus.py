"""A bus of our own: dbus-daemon on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def private_bus() -> Iterator[str]:
    """The address of a new bus. Skips without dbus-daemon, but fails in CI: there it has to be."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        if "CI" in os.environ:
            pytest.fail("dbus-daemon is not installed; this tier is never skipped in CI")
        pytest.skip("dbus-daemon is not installed (Debian: dbus)")
    with tempfile.TemporaryDirectory() as name:
        address = f"unix:path={name}/bus"
        process = subprocess.Popen(
            [daemon, "--session", f"--address={address}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline()  # it listens
            yield address
        finally:
            process.terminate()
            process.communicate()
