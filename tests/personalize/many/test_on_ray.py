"""Ray itself, on this machine: a cluster of two nodes that loses one, and one that a run starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'qwrist[ray]'"),
]


def told_by(script: str, folder: Path) -> dict[str, object]:
    """The last line that a script of this folder says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.personalize.many.{script}", folder],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=230,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_node_that_is_killed_at_work_costs_nobody_their_model(tmp_path):
    told = told_by("two_nodes", tmp_path)
    names = ["u0", "u1", "u2", "u3", "u4"]
    assert told["first"] == dict.fromkeys(names, "fitted")
    assert len(told["tries_on_doomed"]) == 1
    assert told["tries"] == sorted([*names, *told["tries_on_doomed"]])
    assert told["slots"] == {name: [1] for name in names}
    assert told["in_use"] == [True] * len(names)
    assert told["second"] == dict.fromkeys(names, "up to date")
    assert told["slots_after"] == told["slots"]
    assert told["crashed"] == {"doomed": "failed", "well": "up to date"}


@pytest.mark.skipif(not Path("/proc/net/tcp6").exists(), reason="looks at Linux's list of sockets")
def test_a_cluster_of_ones_own_is_heard_by_this_machine_alone(tmp_path):
    told = told_by("ray_here", tmp_path)
    assert told["listening"]
    assert set(told["listening"]) <= LOOPBACK
    assert told["threads"] == dict.fromkeys(["u0", "u1", "u2"], "1")
    assert told["left"] == 0
    assert told["usage_stats"] == "0"
