"""Ray started by a run of its own: run as a module, tells where its processes listen and what jobs say."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from personalize.many import on_ray
from personalize.many.job import Job
from tests.personalize.many.people import order
from tests.personalize.many.planted import telling_work

_LISTENS = "0A"  # the state of a socket in /proc/net/tcp


def descendants(ancestor: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found = {ancestor}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def sockets(process: int) -> Iterator[str]:
    try:
        for handle in Path(f"/proc/{process}/fd").iterdir():
            target = str(handle.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:
        return


def listening() -> set[str]:
    """Hexadecimal addresses at which this process and those it started listen."""
    ours = {inode for process in descendants(os.getpid()) for inode in sockets(process)}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENS and columns[9] in ours:
                found.add(columns[1].split(":")[0])
    return found


def main(root: Path) -> None:
    jobs = [Job(user=f"u{number}", store=root, order=order()) for number in range(3)]
    outcomes = on_ray.run(jobs, 1, telling_work)
    done = [next(outcomes)]
    addresses = listening()
    done += outcomes
    told = {
        "listening": sorted(addresses),
        "threads": {job.user: outcome.reason for job, outcome in done},
        "left": len(descendants(os.getpid())) - 1,
        "usage_stats": os.environ["RAY_USAGE_STATS_ENABLED"],
    }
    sys.stdout.write(f"\n{json.dumps(told)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
