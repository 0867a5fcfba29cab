from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.session import write_session
from edge.store import UserStore
from simulate.recording import to_session
from simulate.wearer import Wearer


@pytest.mark.slow
def test_a_dry_run_checks_trains_and_exports_and_keeps_nothing(run, home: Path) -> None:  # type: ignore[no-untyped-def]
    user = UserStore(home).create("ada")
    for donning in range(2):
        session = to_session(Wearer(47).perform(donning, duration_s=80), user="ada")
        write_session(user.session_path(user.new_session_name()), session)
    answer = run("personalize", "--user", "ada", "--dry-run", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert [part["role"] for part in told["parts"]] == ["train", "validation", "test"]
    assert told["findings"] == []
    assert told["exported"] == ["model.pte", "model.tflite"]
    assert user.slots() == []
