"""`personalize --all`, called as a user calls it, interrupted and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from edge.session import write_session
from edge.store import UserStore
from tests.conftest import Run
from tests.personalize.toys import toy_session

ENOUGH_S = (62.0, 5.0, 5.0)


def add(home: Path, name: str, seconds: tuple[float, ...] = ENOUGH_S) -> None:
    user = UserStore(home).create(name)
    for seed, duration_s in enumerate(seconds):
        session = replace(toy_session(seed, duration_s), user=name)
        write_session(user.session_path(user.new_session_name()), session)


def states(report: dict[str, object]) -> dict[str, str]:
    return {user["user"]: user["state"] for user in report["users"]}


def test_everybody_is_told_of_and_a_refusal_is_exit_code_1(run: Run, home: Path) -> None:
    add(home, "ada")
    add(home, "bob", (5.0,))
    answer = run("personalize", "--all", "--steps", "1", "--workers", "1", "--json")
    assert answer.code == 1, answer.err
    told = json.loads(answer.out)
    assert states(told) == {"ada": "fitted", "bob": "refused"}
    assert told == json.loads((home / "personalize-all.json").read_bytes())
    assert told["users"][0]["cpu_s"] > 0
    again = run("personalize", "--all", "--steps", "1", "--workers", "1")
    assert again.code == 1
    assert "1 up to date, 1 refused" in again.out
    assert "at least 2 are needed" in again.out
    UserStore(home).forget("bob")
    assert run("personalize", "--all", "--steps", "1", "--workers", "1").code == 0
    assert UserStore(home).user("ada").slots() == [1]


def test_a_dry_run_fits_nobody(run: Run, home: Path) -> None:
    add(home, "ada")
    answer = run("personalize", "--all", "--dry-run", "--workers", "1")
    assert answer.code == 0, answer.err
    assert "1 ready" in answer.out
    assert UserStore(home).user("ada").slots() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "say whose decoder to fit"),
        (("--all", "--user", "ada"), "leave one out"),
        (("--all", "--engine", "abacus"), "expected local or ray"),
        (("--all", "--engine", "ray"), "pip install 'qwrist[ray]'"),
        (("--all",), "there are no users"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = run("personalize", *arguments)
    assert answer.code == 2
    assert sentence in answer.err


def begin(home: Path) -> subprocess.Popen[bytes]:
    """Everybody by one worker; gives the run at work, the first of them being done."""
    command = "from qwrist.app import personalize_main; personalize_main()"
    arguments = ("--all", "--steps", "6", "--workers", "1")
    running = subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        env=os.environ | {"QWRIST_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    first = UserStore(home).user("ada")
    while not first.slots():
        assert running.poll() is None
        sleep(0.05)
    return running


def workers_of(process: int) -> set[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return {int(child) for child in children}


@pytest.mark.slow
@pytest.mark.timeout(900)  # minutes of work, on a machine that may have other
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for a process's children")
def test_a_run_that_is_cut_short_leaves_whole_models_and_is_gone_on_with(
    run: Run, home: Path, sent: signal.Signals
) -> None:
    names = ["ada", "bob", "cyn"]
    for name in names:
        add(home, name)
    running = begin(home)
    children = workers_of(running.pid)
    os.kill(running.pid, sent)
    code = running.wait()
    assert children
    while any(Path(f"/proc/{child}/fd").exists() and not ended(child) for child in children):
        sleep(0.05)  # till pytest's own timeout
    store = UserStore(home)
    assert store.user("cyn").slots() == []
    if sent == signal.SIGKILL:
        assert code == -sent
        assert not (home / "personalize-all.json").exists()
    else:
        assert code == 130
        report = json.loads((home / "personalize-all.json").read_bytes())
        assert report["interrupted"]
        assert states(report)["ada"] in ("fitted", "unfinished")  # its model may have been kept just then
        assert states(report)["cyn"] == "unfinished"
    answer = run("personalize", "--all", "--steps", "6", "--workers", "2", "--json")
    assert answer.code == 0, answer.err
    assert states(json.loads(answer.out))["ada"] == "up to date"
    assert [store.user(name).slots() for name in names] == [[1], [1], [1]]
    assert all(store.user(name).current() == store.user(name).slot(1) for name in names)


def ended(process: int) -> bool:
    """Whether only its parent's attention keeps it in the list of processes."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
