"""`qwrist recover` and `enroll --resume`: what was cut short is kept, named and gone on with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.prompts import prompt_deck
from edge.recording import Heading, Recorder, journal_path
from edge.samples import RATE_HZ, Prompt
from edge.session import ENTER_MARK, PROMPTED, Session, read_session, write_session
from edge.session_layout import Plan
from edge.store import User, UserStore
from qwrist import app
from qwrist.verbs.recover import recover
from tests.conftest import Run
from tests.edge.making import chunks_of, make_session

SIM = "sim:wearer=3"
SOURCE = "simulated wearer 3, Qwrist1L C0:51:57:00:00:01 and Qwrist1R C0:51:57:00:00:02"


@pytest.fixture
def user(home: Path) -> User:
    """A user without a recording; and the verb, wherever it is registered."""
    if not any(command.name == "recover" for command in app.app.registered_commands):
        app.app.command("recover")(recover)
    user = UserStore(home).create("ada")
    user.new_session_name()  # makes the folder
    return user


def interrupted(user: User, name: str = "session-0001", seconds: float = 1.0) -> Path:
    """The journal of a recording whose process died."""
    session = make_session(round(seconds * RATE_HZ))
    heading = Heading(
        name=name, user=user.id, condition=PROMPTED, sides=session.sides, filtered=False, simulated=True
    )
    recorder = Recorder(user.session_path(name), heading)
    for chunk in chunks_of(session, list(range(0, len(session.time_s), 40))):
        recorder.add(chunk)
    recorder.close()
    return journal_path(recorder.path)


def broken_off(user: User, seconds: float = 3.0, ago_s: float = 5.0, **changes: Any) -> tuple[Path, Session]:
    """A sealed session that was to last 9 s."""
    samples = round(seconds * RATE_HZ)
    start_s = time.time() - ago_s - seconds
    first = next(prompt_deck(0))
    fields: dict[str, Any] = {
        "name": "ada-session-0001",
        "time_s": start_s + np.arange(samples) / RATE_HZ,
        "keys": (),
        "prompts": (Prompt(first + ENTER_MARK, start_s, start_s + 2),),
        "source": SOURCE,
        "plan": Plan(deck=0, wanted_s=9.0),
    }
    session = make_session(samples, **(fields | changes))
    path = user.session_path("session-0001")
    write_session(path, session)
    return path, session


def test_nothing_to_recover_is_said(run: Run, user: User) -> None:  # noqa: ARG001
    answer = run("recover")
    assert answer.code == 0
    assert "nothing to recover" in answer.err
    assert json.loads(run("recover", "--json").out) == []


def test_what_was_kept_and_lost_is_said_for_each(run: Run, user: User) -> None:
    interrupted(user)
    damaged = interrupted(user, "session-0002")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    answer = run("recover", "--user", "ada", "--json")
    assert answer.code == 0
    whole, hurt = json.loads(answer.out)
    assert (whole["recovered_s"], whole["missing_samples"], whole["kept_aside"]) == (1.0, 0, None)
    assert "nothing was lost" in whole["reason"]
    assert (hurt["user"], hurt["recovered_s"], hurt["missing_samples"]) == ("ada", 0.98, 40)
    assert (hurt["lost_entries"], Path(hurt["kept_aside"]).read_bytes()) == (1, bytes(content))
    assert int((~read_session(Path(hurt["session"])).valid[:, 0]).sum()) == 40
    assert user.journals() == []


def test_whoever_misses_a_recording_is_told_of_the_journal(run: Run, user: User) -> None:
    assert "ada has no recording yet; run: qwrist enroll --user ada" in run("check", "--user", "ada").err
    interrupted(user)
    told = (
        "ada has a recording that is not sealed (session-0001); what was cut short is sealed by: "
        "qwrist recover --user ada"
    )
    for verb, code in (("check", 2), ("personalize", 2), ("users", 0)):
        answer = run(verb, "--user", "ada") if code else run(verb)
        assert answer.code == code
        assert told in " ".join(answer.err.split())
    assert [row["unsealed"] for row in json.loads(run("users", "--json").out)] == [1]
    broken_off(user)  # session-0001 is there now
    interrupted(user, "session-0002")
    answer = run("check", "--user", "ada", "--json")
    assert {Path(row["session"]).stem for row in json.loads(answer.out)} == {"session-0001"}
    assert "not judged: ada has 2 recordings that are not sealed (session-0001, session-0002)" in answer.err


def test_one_that_cannot_be_sealed_does_not_stop_the_others(run: Run, user: User) -> None:
    heading = Heading(
        name="x", user="ada", condition=PROMPTED, sides=("left",), filtered=False, simulated=True
    )
    with Recorder(user.session_path("session-0001"), heading):  # under way
        journal = interrupted(user, "session-0002")
        answer = run("recover")
        assert answer.code == 1
        assert "is being recorded by another process" in answer.out
        assert "1.0 s of an interrupted recording are sealed" in answer.out
        assert not journal.exists()


def test_journals_can_be_named(run: Run, user: User) -> None:
    one, two = interrupted(user), interrupted(user, "session-0002")
    assert run("recover", str(two)).code == 0
    assert (one.exists(), two.exists()) == (True, False)
    assert "one of the two" in run("recover", str(one), "--user", "ada").err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.journal", "a.journal is a folder; name the journals in it"),
        ("b.journal", "there is no "),
        ("c.journal", "is no journal of this version"),
        ("d.txt", "d.txt is no journal, whose name ends in .journal"),
    ],
)
def test_what_is_no_journal_is_refused_before_any_is_sealed(
    run: Run, user: User, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "a.journal").mkdir()
    for other in ("c.journal", "d.txt"):
        (tmp_path / other).write_text("dear diary")
    whole = interrupted(user)
    before = sorted(tmp_path.iterdir())
    answer = run("recover", str(whole), str(tmp_path / name))
    assert answer.code == 2
    assert said in answer.err
    assert whole.exists()
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_sealed_is_said_to_be(run: Run, user: User) -> None:
    journal = interrupted(user)
    assert run("recover", str(journal)).code == 0
    again = run("recover", str(journal))
    assert (again.code, "is sealed already" in again.out) == (0, True)


def test_an_enrolment_goes_on(run: Run, user: User) -> None:
    path, before = broken_off(user)
    answer = run("enroll", "--user", "ada", "--band", SIM, "--resume", "--json")
    assert answer.code == 0, answer.err
    assert "going on with" in answer.err
    result = json.loads(answer.out)
    assert result["session"] == str(path)
    assert (result["recorded_s"], result["in_all_s"]) == pytest.approx((6.0, 9.0))
    found = read_session(path)
    assert found.recorded_s == pytest.approx(9.0)
    start = found.segments[0]
    assert (start.reason, start.first_index - start.missing) == ("restarted", len(before.time_s))
    assert start.missing >= 5 * RATE_HZ  # what has passed since by the clock
    np.testing.assert_array_equal(found.emg_uv[: len(before.time_s)], before.emg_uv)
    assert before.prompts[0].text.removesuffix(ENTER_MARK) not in answer.err  # it was performed
    assert len(user.sessions()) == 1
    again = run("enroll", "--user", "ada", "--band", SIM, "--resume")
    assert again.code == 2
    assert "is complete" in again.err


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"source": "others"}, [], f"bands: others then, {SOURCE} now"),
        ({"simulated": False}, [], "simulated: False then, True now"),
        ({"filtered": True}, [], "filtered: True then, False now"),
        ({}, ["--sides", "left"], "sides: left,right then, left now"),
        ({}, ["--prompts-alone"], "condition: on_keyboard then, prompted now"),
        ({"plan": None}, [], "was not recorded by an enrolment"),
        ({"ago_s": 16 * 60.0}, [], "ended 16 minutes ago"),
    ],
)
def test_other_bands_or_another_way_are_refused_with_the_difference(
    run: Run, user: User, changes: dict[str, Any], arguments: list[str], said: str
) -> None:
    path, _ = broken_off(user, **changes)
    content = path.read_bytes()
    answer = run("enroll", "--user", "ada", "--band", SIM, "--resume", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert path.read_bytes() == content
    assert user.journals() == []


def test_without_a_session_there_is_nothing_to_go_on_with(run: Run, user: User) -> None:
    assert "leave --resume out" in run("enroll", "--user", user.id, "--band", SIM, "--resume").err
    assert "there is no user" in run("enroll", "--user", "eve", "--band", SIM, "--resume").err


def test_a_killed_enrolment_is_sealed_and_gone_on_with(run: Run, user: User) -> None:
    path, before = broken_off(user, prompts=())
    path.unlink()
    heading = Heading(
        name=before.name,
        user="ada",
        condition=before.condition,
        sides=before.sides,
        filtered=before.filtered,
        simulated=before.simulated,
        source=before.source,
        plan=before.plan,
    )
    recorder = Recorder(path, heading)
    for chunk in chunks_of(before, [2000, 4000]):
        recorder.add(chunk)
    recorder.close()
    answer = run("enroll", "--user", "ada", "--band", SIM, "--resume", "--sides", "left,right")
    assert answer.code == 0, answer.err
    assert "3.0 s of an interrupted recording are sealed" in answer.err
    assert read_session(path).recorded_s == pytest.approx(9.0)
